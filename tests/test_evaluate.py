"""The command evaluate: numbers by other means, both rules, classes by name, copies, the card."""

import dataclasses
import json
import os
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from sklearn import metrics as reference

from fer_jax import cli
from fer_jax import evaluate as command
from fer_jax.data import preparation, prepared
from fer_jax.errors import UserError
from fer_jax.evaluation import rundir, votes
from fer_jax.experiment import judging
from fer_jax.experiment.predictor import Predictor
from fer_jax.export import folder as exported
from tests.data.datasets.test_own import picture, quiet

FER2013 = ('fer2013', '--labels=ferplus8')


def call(*words):
    cli.call(command.main, command.define, [*map(str, words)])


@pytest.fixture(scope='module')
def judged(plain_run, plain_data):
    said = []
    found = judging.judge(
        Predictor.open(plain_run),
        'fer2013',
        data_dir=plain_data,
        labels='ferplus8',
        say=said.append,
    )
    return found, said


def test_numbers_recomputed_from_the_runs_own_file(judged, plain_run, plain_data):
    found, said = judged
    assert said == ['the 8 classes of the labels are those of the networks']
    predictor = Predictor.open(plain_run)
    clips = predictor.clips.load(plain_data)
    tested = clips.split == 'test'
    p = predictor.probabilities(clips.frames[tested], clips.length[tested])
    label = clips.label[tested]
    row = found.counted[0]
    assert row['n'] == 42 and row['removed'] == 0
    assert row['accuracy'] == pytest.approx((p.argmax(1) == label).mean())
    assert row['mean_class_accuracy'] == pytest.approx(
        reference.balanced_accuracy_score(label, p.argmax(1))
    )
    low, high = row['accuracy_interval']
    assert low <= row['accuracy'] <= high
    scaled = found.values['calibration']['scaled']
    assert scaled['loss'] == pytest.approx(-np.log(p[np.arange(len(p)), label]).mean(), rel=1e-3)
    target = clips.target[tested]
    assert scaled['votes_loss'] == pytest.approx(-(target * np.log(p)).sum(1).mean(), rel=1e-3)


def test_both_rules_and_the_copies_are_counted(judged):
    found, _ = judged
    counted = {row['what']: row for row in found.counted}
    # Of 42 pictures every seventh has votes 4, 3, 3, of which no majority is left; two are copies.
    assert counted[judging.MAJORITY]['n'] == 36
    assert counted['Without copies in training']['removed'] == 2
    conditions = [row['condition'] for row in found.conditions]
    assert conditions[0] == 'Shrunk to 16 x 16 pixels' and len(conditions) == 7
    assert sum(row['n'] for row in found.conditions[1:4]) == 42


def test_shrunk_stills_have_lost_what_is_small():
    frames = np.zeros((2, 1, 32, 32, 1), np.uint8)
    frames[0, 0, ::2, ::2] = frames[0, 0, 1::2, 1::2] = 200  # single pixels
    frames[1, 0, :, 16:] = 200  # one edge
    found = judging._shrunk(frames, 16)
    assert (found[0] == 100).all()
    np.testing.assert_array_equal(found[1, 0, :, :15], frames[1, 0, :, :15])
    np.testing.assert_array_equal(found[1, 0, :, 17:], frames[1, 0, :, 17:])


def test_thirds_are_those_of_the_blurred_and_of_the_dark():
    noise = np.random.default_rng(0).integers(0, 100, (32, 32)).astype(np.float32)
    blurred = [cv2.GaussianBlur(noise, None, 0.3 + 0.3 * k) for k in range(9)]
    frames = np.stack([50 * (k % 3) + each for k, each in enumerate(blurred)])
    thirds = judging._thirds(frames[:, None, :, :, None].astype(np.uint8))
    clips = [np.flatnonzero(third).tolist() for third in thirds.values()]
    assert [name.split(',')[0] for name in thirds] == [
        f'{what}: {which} third'
        for what in ('Sharpness', 'Brightness')
        for which in ('lowest', 'middle', 'highest')
    ]
    assert clips[:3] == [[6, 7, 8], [3, 4, 5], [0, 1, 2]]
    assert clips[3:] == [[0, 3, 6], [1, 4, 7], [2, 5, 8]]


def test_classes_are_matched_by_their_names(plain_run, plain_data):
    said = []
    given = {'data_dir': plain_data, 'labels': 'fer2013', 'say': said.append}
    found = judging.judge(Predictor.open(plain_run), 'fer2013', **given)
    assert said == ['classes differ: contempt of the networks left out, the rest made to sum to 1']
    assert len(found.predictions.classes) == 7
    np.testing.assert_allclose(found.predictions.probabilities.sum(-1), 1, rtol=1e-5)
    assert len(found.counted) == 3  # no votes: one rule


def test_test_clips_that_were_trained_on_are_stamped(plain_run, plain_data, monkeypatch):
    predictor = Predictor.open(plain_run)
    clips = predictor.clips.load(plain_data)
    assert judging._trained_on(predictor, clips, np.flatnonzero(clips.split == 'test')) == ()
    assert judging._trained_on(predictor, clips, np.flatnonzero(clips.split != 'test')[:9]) == (
        '9 OF 9 TEST CLIPS WERE SEEN IN TRAINING',
    )


def test_test_clips_that_an_earlier_network_may_have_seen_are_stamped(
    plain_run, plain_data, tmp_path
):
    run = tmp_path / 'run'
    shutil.copytree(plain_run, run)
    first = {'run': 'first', 'config': 'fer2013_plain', 'dataset': 'fer2013', 'simulated': False}
    dataset = rundir.read_json(run / 'dataset.json')
    (run / 'dataset.json').write_text(json.dumps({**dataset, 'taught_by': [first]}))

    stamp = 'WHAT THE NETWORKS BUILD ON WAS TRAINED ON FER2013: TEST CLIPS MAY HAVE BEEN SEEN'
    clips = Predictor.open(run).clips.load(plain_data)
    tested = np.flatnonzero(clips.split == 'test')
    # What the run tested itself, nothing that it builds on has seen.
    assert judging._trained_on(Predictor.open(run), clips, tested) == ()
    folds = rundir.read_json(run / 'folds.json')
    folds['folds'][0]['test'].pop()
    (run / 'folds.json').write_text(json.dumps(folds))
    assert judging._trained_on(Predictor.open(run), clips, tested) == (stamp,)


def test_the_card_is_filled_from_files(plain_run, plain_data, tmp_path, capsys):
    model = tmp_path / 'model'
    exported.write(Predictor.open(plain_run), model, '')
    words = (model, '--dataset=fer2013', f'--data_dir={plain_data}', f'--out={tmp_path / "out"}')
    call(*words, '--labels=ferplus8', '--card')
    printed = capsys.readouterr().out
    text = (model / 'README.md').read_text()
    assert_card_says(text, rundir.read_json(model / 'evaluations.json')['fer2013 ferplus8'])
    assert_printed(printed, rundir.read_json(tmp_path / 'out' / 'results.json'))
    assert 'Shrunk to 16 x 16' in text and 'None yet' not in text
    first = (model / 'evaluations.json').read_text()
    call(*words, '--labels=fer2013', '--card')
    assert set(json.loads((model / 'evaluations.json').read_text())) == {
        'fer2013 ferplus8', 'fer2013 fer2013'
    }  # fmt: skip
    call(*words, '--card')  # its first label set
    assert len(json.loads((model / 'evaluations.json').read_text())) == 2
    call(*words, '--labels=ferplus8', '--card')
    again = json.loads((model / 'evaluations.json').read_text())['fer2013 ferplus8']
    assert again == json.loads(first)['fer2013 ferplus8']
    html = (tmp_path / 'out' / 'report.html').read_text()
    assert 'Article 5(1)(f)' in html and 'figure-reliability' in html


def assert_card_says(text, found):
    """Checks every row of the card's tables, column by column."""
    assert '| Test clips | n | Accuracy, % | Mean over classes, % | Macro F1, % |' in text
    assert len(found['counted']) == 4 and len(found['classes']) == 8
    metrics = ('accuracy', 'mean_class_accuracy', 'macro_f1')
    for row in found['counted']:
        cells = [with_interval(row, metric) for metric in metrics]
        assert f'| {row["what"]} | {row["n"]} | {" | ".join(cells)} |' in text
    assert '| Class | n | Recall, % | Precision, % | F1, % |' in text
    for row in found['classes']:
        cells = [with_interval(row, 'recall'), share(row['precision']), share(row['f1'])]
        assert f'| {row["class"]} | {row["n"]} | {" | ".join(cells)} |' in text
    for name, title in (('raw', 'as they are'), ('scaled', 'calibrated')):
        row = found['calibration'][name]
        cells = f'{share(row["error"])} | {row["loss"]:.3f} | {row["votes_loss"]:.3f}'
        assert f'| {title} | {cells} |' in text
    for row in found['conditions']:
        assert f'| {row["condition"]} | {row["n"]} | {with_interval(row, "accuracy")} |' in text


def share(value):
    return '–' if value is None else f'{100 * value:.2f}'


def with_interval(row, metric):
    ends = row[f'{metric}_interval']
    shown = '' if ends is None else f' ({100 * ends[0]:.1f} to {100 * ends[1]:.1f})'
    return share(row[metric]) + shown


def assert_printed(printed, found):
    """Checks the first table of the terminal, column by column."""
    words = ' '.join(printed.split())
    for row in found['counted']:
        low, high = row['accuracy_interval']
        shares = f'{share(row["mean_class_accuracy"])}% {share(row["macro_f1"])}%'
        said = f'{share(row["accuracy"])}% {100 * low:.1f} - {100 * high:.1f} {shares}'
        assert f'{row["what"]} {row["n"]} {said}' in words


def test_what_cannot_be_judged_is_said(plain_run, plain_data, tmp_path):
    here = f'--data_dir={plain_data}'
    with pytest.raises(UserError, match='--dataset is missing'):
        call(plain_run)
    with pytest.raises(UserError, match='name one model'):
        call('--dataset=fer2013')
    with pytest.raises(UserError, match="no labels 'nine'"):
        call(plain_run, '--dataset=fer2013', '--labels=nine', here, f'--out={tmp_path}')
    with pytest.raises(UserError, match='is not prepared'):
        call(plain_run, '--dataset=jaffe', here, f'--out={tmp_path}')
    with pytest.raises(UserError, match='--card: .* is a run; write a model folder first'):
        call(plain_run, '--dataset=fer2013', here, '--card', f'--out={tmp_path}')
    with pytest.raises(UserError, match='give another --out'):
        call(plain_run, '--dataset=fer2013', here, f'--out={plain_run}')


@pytest.mark.slow
def test_counts_of_both_rules_and_of_the_copies_on_the_original(tmp_path):
    """FER_JAX_REAL_DATA names a folder with fer2013.csv and fer2013new.csv."""
    from fer_jax.data import leaks, preparation
    from fer_jax.data.protocols import Fold

    release = Path(os.environ.get('FER_JAX_REAL_DATA', ''))
    if 'FER_JAX_REAL_DATA' not in os.environ or not (release / 'fer2013new.csv').exists():
        pytest.skip('the original is not at hand: FER_JAX_REAL_DATA names its folder')
    preparation.prepare('fer2013', release, tmp_path, report=lambda line: None)
    geometry = {'frames': 1, 'sampling': 'last', 'size': 48}
    clips = prepared.load('fer2013', data_dir=tmp_path, labels='ferplus8', **geometry)
    tested = np.flatnonzero(clips.split == 'test')
    assert len(tested) == 3573
    choices, given = prepared.load_votes('fer2013', data_dir=tmp_path)
    table = np.stack([given[name] for name in clips.clip_id[tested].tolist()])
    agreed = votes.majority(table, choices, clips.classes)
    assert (agreed >= 0).sum() == 3153
    np.testing.assert_array_equal(agreed[agreed >= 0], clips.label[tested][agreed >= 0])
    clips = prepared.load('fer2013', data_dir=tmp_path, **geometry)
    parts = (np.flatnonzero(clips.split == name) for name in ('train', 'validation', 'test'))
    marks = leaks.duplicate_marks(leaks.duplicates(clips), fold := Fold(*parts))[fold.test]
    assert ((marks == 2).sum(), (marks > 0).sum()) == (288, 314)


@pytest.mark.parametrize(
    'split, parts',
    [
        (('train', 'validation', 'test'), ([0], [1], [2])),
        (('train', 'validation', 'validation'), ([0], [], [1, 2])),  # AffectNet's parts
        (('', '', ''), ([], [], [0, 1, 2])),
        (('train', 'train', 'train'), ([], [], [0, 1, 2])),
    ],
)
def test_what_is_judged_where_owners_give_no_test_part(split, parts):
    class Clips:
        def __len__(self):
            return 3

    clips = Clips()
    clips.split = np.array(split)
    fold = judging._parts(clips)
    assert tuple(part.tolist() for part in (fold.train, fold.validation, fold.test)) == parts


def test_clips_without_a_label_are_not_judged(plain_run, tmp_path):
    predictor = Predictor.open(plain_run)
    known = dataclasses.replace(predictor.clips, unlabelled=True)
    rows = ['path,label']
    for number, label in enumerate(('happiness', 'sadness', 'happiness', '')):
        picture(tmp_path / f'{number}.png', 40 * number)
        rows.append(f'{number}.png,{label}')
    (tmp_path / 'rows.csv').write_text('\n'.join(rows) + '\n')
    data = tmp_path / 'data'
    preparation.prepare('own:few', tmp_path / 'rows.csv', data, faces='none', report=quiet)
    found = judging.judge(
        dataclasses.replace(predictor, clips=known), 'own:few', data_dir=data, faces='none'
    )
    assert found.counted[0]['n'] == 3
