"""Classifiers that are fitted at once, as a run keeps what they say."""

import numpy as np

from fer_jax.data.clips import ClipSet
from fer_jax.data.protocols import Fold, Protocol
from fer_jax.experiment.classifiers import FittedRecord
from fer_jax.experiment.records import collect
from fer_jax.training.members import make_members

CLIPS, CLASSES = 70, 7


class Unsure:
    """Says of each clip that its own class is hardly more probable than the others."""

    def check(self, source, clips):
        pass

    def fit(self, clips, member):
        return {}

    def predict(self, fitted, frames, length, classes):
        said = np.full((len(frames), classes), 1 / classes)
        said[np.arange(len(frames)), np.arange(len(frames)) % classes] += 1e-6
        return said


def test_an_unsure_classifier_decides_as_it_is_kept():
    label = np.arange(CLIPS) % CLASSES
    clips = ClipSet(
        name='drawn',
        classes=tuple('abcdefg'),
        simulated=True,
        frames=np.arange(CLIPS, dtype=np.float32)[:, None, None],
        length=np.ones(CLIPS, np.int32),
        label=label.astype(np.int32),
        subject=np.full(CLIPS, ''),
        clip_id=np.array([f'{i:03}' for i in range(CLIPS)]),
        split=np.full(CLIPS, 'train'),
    )
    train, validation, test = np.array_split(np.arange(CLIPS), 3)
    protocol = Protocol('thirds', False, (Fold(train, validation, test),))
    (member,) = make_members(protocol, clips, seeds=[0], fold=-1)
    record = FittedRecord.of(Unsure(), member, clips)
    assert record.history[0]['test_accuracy'] == 1
    table = collect(clips, [member], [record])
    rows = table.at(np.array([0]))
    np.testing.assert_array_equal(rows.predicted, label[test])
