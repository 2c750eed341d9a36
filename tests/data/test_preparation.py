"""Preparing: one release in one place, whole or not at all."""

import fcntl
import json
import os

import pytest

from fer_jax import simulation
from fer_jax.data import preparation, prepared
from fer_jax.data.datasets import clip_builder
from fer_jax.errors import UserError

VERSION = str(clip_builder.ClipBuilder.VERSION)


def quiet(_line):
    """Takes the lines of a summary."""


def simulated_release(folder, handmade, seed):
    handmade.write_fer2013(folder)
    (folder / 'SIMULATED.json').write_text(json.dumps({'dataset': 'fer2013', 'seed': seed}))
    return folder


def test_preparing_again_only_says_so(fer2013_release, tmp_path):
    lines = []
    first = preparation.prepare('fer2013', fer2013_release, tmp_path / 'data', report=quiet)
    shard = next(prepared.location('fer2013', tmp_path / 'data').glob('*array_record*'))
    written = shard.stat().st_mtime_ns
    again = preparation.prepare('fer2013', fer2013_release, tmp_path / 'data', report=lines.append)
    assert again == first and shard.stat().st_mtime_ns == written
    assert len(lines) == 1 and 'already prepared from this release' in lines[0]


def test_another_release_is_refused_and_may_replace(fer2013_release, tmp_path, handmade):
    data = tmp_path / 'data'
    preparation.prepare('fer2013', fer2013_release, data, report=quiet)
    other = handmade.write_fer2013(tmp_path / 'other', rows=handmade.FER2013_ROWS[:5])
    with pytest.raises(UserError, match=f'another release .*{fer2013_release}.*--overwrite'):
        preparation.prepare('fer2013', other, data, report=quiet)
    assert prepared.describe('fer2013', data)['clips'] == 7
    preparation.prepare('fer2013', other, data, overwrite=True, report=quiet)
    assert prepared.describe('fer2013', data)['clips'] == 5
    clips = prepared.load('fer2013', data_dir=data, frames=1, sampling='last', size=48)
    assert len(clips) == 5


def test_simulated_and_licensed_never_share_a_place(fer2013_release, tmp_path, handmade):
    lines = []
    fake = simulated_release(tmp_path / 'fake', handmade, seed=0)
    preparation.prepare('fer2013', fake, tmp_path / 'data', report=lines.append)
    assert 'SIMULATED faces' in lines[0]
    assert not any(line.startswith('warning') for line in lines)
    geometry = {'frames': 1, 'sampling': 'last', 'size': 48}
    assert prepared.load('fer2013', data_dir=tmp_path / 'data', **geometry).simulated
    # The same csv without the simulator's note is another release.
    with pytest.raises(UserError, match=r"\(simulated, .*fake\).*\(the owners' files\)"):
        preparation.prepare('fer2013', fer2013_release, tmp_path / 'data', report=quiet)
    seeded = simulated_release(tmp_path / 'seeded', handmade, seed=1)
    with pytest.raises(UserError, match='another release'):
        preparation.prepare('fer2013', seeded, tmp_path / 'data', report=quiet)


def test_a_failed_replacement_keeps_what_was_there(ckplus_release, tmp_path):
    data = tmp_path / 'data'
    preparation.prepare('ckplus', ckplus_release, data, report=quiet)
    frame = next((ckplus_release / 'cohn-kanade-images').glob('S999/003/*5.png'))
    frame.write_bytes(frame.read_bytes()[:-10])
    with pytest.raises(UserError, match='truncated'):
        preparation.prepare('ckplus', ckplus_release, data, overwrite=True, report=quiet)
    found = prepared.load('ckplus', data_dir=data, frames=1, sampling='last', size=16)
    assert len(found) == 4
    folder = prepared.location('ckplus', data).parent
    assert sorted(path.name for path in folder.iterdir()) == [VERSION]


def test_a_truncated_picture_costs_one_clip_where_that_is_asked_for(ckplus_release, tmp_path):
    frame = next((ckplus_release / 'cohn-kanade-images').glob('S999/003/*5.png'))
    frame.write_bytes(frame.read_bytes()[:-10])
    lines, data = [], tmp_path / 'data'
    with pytest.raises(UserError, match='truncated.*, or leave such clips out with --skip_unread'):
        preparation.prepare('ckplus', ckplus_release, data, report=quiet)
    found = preparation.prepare(
        'ckplus', ckplus_release, data, skip_unreadable=True, report=lines.append
    )
    assert found['clips'] == 3 and found['class_counts']['ckplus']['happiness'] == 0
    assert '  dropped, unreadable: 1: S999_003' in lines
    assert (
        f'    {frame}: unreadable image (truncated); copy the file again from the release' in lines
    )
    assert 'warning: class happiness: 0 of 69 published' in lines
    clips = prepared.load('ckplus', data_dir=data, frames=1, sampling='last', size=16)
    assert clips.clip_id.tolist() == ['S005_001', 'S010_001', 'S010_002']


def test_each_way_of_finding_faces_has_its_place(ckplus_release, tmp_path):
    """The hand-made faces are two discs, which no detector takes for a face."""
    data = tmp_path / 'data'
    preparation.prepare('ckplus', ckplus_release, data, report=quiet)
    lines = []
    found = preparation.prepare('ckplus', ckplus_release, data, faces='haar', report=lines.append)
    assert len(found['faceless']) == 4 and found['detector']['identity']['name'] == 'haar'
    assert any('no landmarks: registration falls back to the face box' in line for line in lines)
    assert any('kept, without a face in any frame: 4: S005_001' in line for line in lines)
    assert prepared.describe('ckplus', data)['faceless'] == []
    folders = sorted(path.name for path in (data / 'ckplus').iterdir())
    assert folders == ['faces-haar', 'faces-release']
    again = preparation.prepare('ckplus', ckplus_release, data, faces='haar', report=lines.append)
    assert again == found and 'already prepared' in lines[-1]
    with pytest.raises(UserError, match="ckplus offers no faces 'yolo'"):
        preparation.prepare('ckplus', ckplus_release, data, faces='yolo', report=quiet)


def test_one_preparation_at_a_time(fer2013_release, tmp_path):
    folder = prepared.location('fer2013', tmp_path / 'data').parent
    folder.mkdir(parents=True)
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        with pytest.raises(UserError, match='another preparation of fer2013 is running'):
            preparation.prepare('fer2013', fer2013_release, tmp_path / 'data', report=quiet)
    finally:
        os.close(handle)
    preparation.prepare('fer2013', fer2013_release, tmp_path / 'data', report=quiet)


def test_options_of_other_datasets_and_places_that_are_none(ckplus_release, tmp_path):
    with pytest.raises(UserError, match='ckplus takes no --ferplus'):
        preparation.prepare('ckplus', ckplus_release, tmp_path, ferplus='x.csv')
    (tmp_path / 'file').write_text('')
    with pytest.raises(UserError, match='cannot write there .* choose another --data_dir'):
        preparation.prepare('ckplus', ckplus_release, tmp_path / 'file', report=quiet)


@pytest.mark.parametrize('dataset, subjects', [('ckplus', 1), ('fer2013', 14)])
def test_a_simulated_release_goes_the_same_way(tmp_path, dataset, subjects):
    release = simulation.write_release(dataset, tmp_path / 'release', subjects=subjects, workers=1)
    found = preparation.prepare(dataset, release, tmp_path / 'data', report=quiet)
    assert found['simulated']['dataset'] == dataset and not found['faceless']
    clips = prepared.load(
        dataset, data_dir=tmp_path / 'data', frames=4, sampling='uniform', size=48
    )
    assert clips.simulated and len(clips) == found['clips'] > 0
    assert clips.frames.std((2, 3, 4)).min() > 5  # pictures, not flat areas


def test_what_a_killed_preparation_left_is_not_taken_over(fer2013_release, tmp_path, handmade):
    """Killed after the records were whole but before they took their place."""
    data = tmp_path / 'data'
    preparation.prepare('fer2013', fer2013_release, data, report=quiet)
    target = prepared.location('fer2013', data)
    left = target.parent / '.preparing' / 'fer2013' / 'faces-release' / VERSION
    left.parent.mkdir(parents=True)
    target.rename(left)
    with pytest.raises(UserError, match='is not prepared'):
        prepared.describe('fer2013', data)
    other = handmade.write_fer2013(tmp_path / 'other', rows=handmade.FER2013_ROWS[:5])
    found = preparation.prepare('fer2013', other, data, report=quiet)
    assert found['clips'] == 5 and found['release'] == str(other)
    assert len(prepared.load('fer2013', data_dir=data, frames=1, sampling='last', size=48)) == 5
