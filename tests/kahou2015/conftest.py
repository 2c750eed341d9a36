"""The stages of a run of the EmotiW system, made up: what a fixture says is what is found."""

import numpy as np
import pytest

from fer_jax.kahou2015 import decision_fusion, outcome
from fer_jax.kahou2015.partitions import TRAININGS, ClipTable, training_of
from fer_jax.kahou2015.submissions import SUBMISSIONS, submit

CLASSES = ('anger', 'disgust', 'fear', 'happiness', 'neutral', 'sadness', 'surprise')
SEARCH = {'seed': 0, 'draws': 200, 'schedule': np.array([0.5, 0.1])}


def made_up_table(test_known=True):
    rng = np.random.default_rng(0)
    split = np.repeat(['test', 'train', 'validation'], [20, 60, 40])
    truth = rng.integers(0, len(CLASSES), len(split))
    label = np.where(split == 'test', -1, truth)
    clip_id = np.array([f'{part}/{number:09}' for number, part in enumerate(split)])
    return ClipTable(clip_id, split, label, truth if test_known else label, CLASSES, True)


def saying(truth, strength, rng):
    """Probabilities that lean towards the truth."""
    said = rng.dirichlet(np.ones(len(CLASSES)), len(truth))
    said[np.arange(len(truth)), truth] += strength
    return (said / said.sum(-1, keepdims=True)).astype(np.float32)


def write_stages(folder, table, silent=('test/000000003', 'validation/000000090')):
    """All stages: models of different strength; two clips have no face, one has no sound."""
    rng = np.random.default_rng(1)
    truth = np.abs(table.truth)
    faceless = np.isin(table.clip_id, silent)
    soundless = table.clip_id == 'validation/000000091'
    models = {}
    for strength, (name, mute) in enumerate(
        {'activity': None, 'audio': soundless, 'aggregated': faceless, 'rnn': faceless}.items()
    ):
        said = np.stack([saying(truth, 0.05 + 0.06 * strength, rng) for _ in TRAININGS])
        if mute is not None:
            said[:, mute] = np.nan
        models[name] = {'probabilities': said}
    for name, size in (('audio', 4), ('aggregated', 21), ('rnn', 8)):
        seen = rng.normal(size=(len(TRAININGS), len(truth), size)).astype(np.float32)
        seen[:, np.isnan(models[name]['probabilities'][0]).any(-1)] = np.nan
        models[name]['features'] = seen
    models['aggregated']['averaging'] = models['aggregated']['probabilities'][0]
    models['activity']['filters'] = rng.normal(size=(12, 10, 16, 16)).astype(np.float32)
    models['rnn']['epochs'] = np.array([3, 5, 3, 5])
    stages = {'clips': outcome.of_table(table), **models}
    made = {}
    for number, submission in SUBMISSIONS.items():
        given, epochs = None, {}
        if not submission.combines:
            fused = saying(truth, 0.3, rng)
            fused[faceless | soundless] = np.nan
            epoch = {1: 4, 2: 7, 3: 7, 4: 2, 5: 9, 6: 2}[number]
            history = rng.uniform(size=(2, 9)).astype(np.float32)
            arrays = {'probabilities': fused, 'epoch': np.array([epoch]), 'history': history}
            stages[f'fusion-{number}'] = arrays
            at = training_of(number)
            given = np.stack([*(own['probabilities'][at] for own in models.values()), fused])
            epochs = {'rnn': models['rnn']['epochs'][at : at + 1], 'fusion': arrays['epoch']}
        made[number] = submit(
            submission, given, table.label, table.split, epochs=epochs, made=made, **SEARCH
        )
        stages[f'submission-{number}'] = outcome.of_entry(made[number])
    validation = table.part('validation')
    given = np.stack(
        [
            *(own['probabilities'][0] for own in models.values()),
            stages['fusion-2']['probabilities'],
        ]
    )[:, validation]
    searches = {
        choice: decision_fusion.search(given[list(choice)], table.label[validation], **SEARCH)
        for choice in ((1,), (3, 4), (0, 1, 2, 3, 4))
    }
    stages['subsets'] = outcome.of_searches(searches)
    (folder / 'stages').mkdir(parents=True)
    for name, arrays in stages.items():
        np.savez(outcome.place(folder, name), **arrays)
    return made, searches


@pytest.fixture(scope='session')
def run(tmp_path_factory):
    """A folder of stages, what its submissions were made of, and its searches."""
    folder = tmp_path_factory.mktemp('emotiw')
    made, searches = write_stages(folder, made_up_table())
    return folder, made, searches
