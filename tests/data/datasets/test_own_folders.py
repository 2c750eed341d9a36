"""Own data in folders that hold more than one kind of thing."""

import pytest

from fer_jax.errors import UserError
from tests.data.datasets.test_own import picture, scanned


@pytest.mark.parametrize(
    'stray, named',
    [('joy/p1/portrait.jpg', 'a'), ('joy/p1/a/film.mp4', 'film.mp4'), ('joy/p1/a/v.wav', 'v.wav')],
)
def test_a_folder_of_frames_that_holds_clips_besides_is_refused(tmp_path, stray, named):
    for clip in ('joy/p1/a', 'joy/p1/b', 'anger/p2/a'):
        picture(tmp_path / 'films' / clip / '1.png')
        (tmp_path / 'films' / clip / 'notes.txt').touch()
    assert len(scanned(tmp_path, tmp_path / 'films', sequences=True).clips) == 3
    picture((tmp_path / 'films' / stray).with_suffix('.png')).rename(tmp_path / 'films' / stray)
    with pytest.raises(UserError, match=f'{(tmp_path / "films" / stray).parent}: .* {named}; '):
        scanned(tmp_path, tmp_path / 'films', sequences=True)


def test_files_beside_folders_of_splits_are_left_out_and_named(tmp_path):
    for path in ('train/joy/1.png', 'test/anger/1.png', '2.png'):
        picture(tmp_path / 'photos' / path)
    (tmp_path / 'photos' / 'labels.txt').touch()
    found = scanned(tmp_path, tmp_path / 'photos')
    assert len(found.clips) == 2
    assert [(clip['path'], clip['reason']) for clip in found.dropped] == [
        ('2.png', 'beside the folders of splits'),
        ('labels.txt', 'beside the folders of splits'),
    ]
