"""Class weights by the frequency of views, which haddad2020's copies make all but equal."""

import dataclasses

import numpy as np
import pytest

from fer_jax.config import load_config
from fer_jax.data.clips import ClipSet
from fer_jax.data.protocols import Fold, Protocol
from fer_jax.errors import UserError
from fer_jax.experiment.learners import open_learner
from fer_jax.simulation.releases.roster import COUNTS

CLASSES = tuple(COUNTS)
# haddad2020, sec. 4.1: what each class of CK+ and its copies are.
VIEWS = {
    'anger': 225, 'contempt': 234, 'disgust': 236, 'fear': 250, 'happiness': 276, 'sadness': 252,
    'surprise': 249,
}  # fmt: skip


def members(weigh_views, class_weights=True):
    """Members of haddad2020's config on black clips of CK+'s counts, and the clips."""
    config = load_config('ckplus_c3d.py')
    config.loss.class_weights, config.loss.weigh_views = class_weights, weigh_views
    label = np.repeat(np.arange(7), list(COUNTS.values())).astype(np.int32)
    n = len(label)
    names = np.array([f'{i:03}' for i in range(n + 7)])
    clips = ClipSet(
        'ckplus', CLASSES, True, np.zeros((n + 7, 1, 4, 4, 1), np.uint8),
        np.ones(n + 7, np.int32), np.append(label, np.arange(7)).astype(np.int32),
        names, names, np.full(n + 7, ''),
    )  # fmt: skip
    fold = Fold(np.arange(n), np.array([], int), np.arange(n, n + 7))
    learner = open_learner(config.to_dict())
    return learner.members(Protocol('one', True, (fold,)), clips, fold=-1, seeds=[0])


def share_of_contempt(member):
    """The share of the loss of all views that contempt's have, where every view loses as much."""
    loss = {name: VIEWS[name] * member.class_weight[k] for k, name in enumerate(CLASSES)}
    return loss['contempt'] / sum(loss.values())


def test_weights_by_clips_give_the_rarest_class_a_quarter_of_the_loss():
    (member,) = members(False)
    assert share_of_contempt(member) == pytest.approx(0.27, abs=0.01)


def test_weights_by_views_give_every_class_the_same_share():
    (member,) = members(True)
    assert share_of_contempt(member) == pytest.approx(1 / 7, abs=1e-3)
    expected = np.array([1 / VIEWS[name] for name in CLASSES])
    np.testing.assert_allclose(member.class_weight, expected / expected.mean(), rtol=1e-5)
    (fit,) = member.fits
    np.testing.assert_array_equal(fit.clips, member.fold.train)
    assert dataclasses.asdict(fit)['name'] == 'class weights'


def test_views_are_counted_for_class_weights_only():
    with pytest.raises(UserError, match='set loss.class_weights too'):
        members(True, class_weights=False)
