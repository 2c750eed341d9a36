"""Batches of a member: views of its training clips only, epoch after epoch."""

import dataclasses
import importlib.util
from pathlib import Path

import numpy as np
import pytest

from fer_jax.data import fitted, views
from fer_jax.data.protocols import Protocol
from fer_jax.errors import UserError
from fer_jax.training import members
from fer_jax.training.members import Recipe

FIXED = {'angles': (-10.0, 0.0, 10.0), 'mirrored': True}


@pytest.mark.parametrize(
    'name, variant, times',
    [
        ('oulu_casia_c3d', '', 9),  # haddad2020, sec. 4.2
        ('ckplus_convlstm', '', 14),  # saurav2020, sec. IV-B
        ('savee_convlstm', '', 10),
        ('savee_convlstm', 'views8', 8),
        ('afew_convlstm', '', 10),
        ('afew_convlstm', 'two_branch,views8', 8),
    ],
)
def test_configs_augment_as_their_papers_count(tiny_clips, tiny_members, name, variant, times):
    path = Path(__file__).parents[2] / 'configs' / f'{name}.py'
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    augment = module.get_config(variant).augment
    recipe = Recipe(augment.kind, dict(augment.options), 16)
    for member in tiny_members[:2]:
        table = recipe.views(member, tiny_clips, 1)
        clip, count = np.unique(table.clip, return_counts=True)
        np.testing.assert_array_equal(clip, member.fold.train)
        assert (count == times).all()


def test_fixed_views_are_the_same_in_every_epoch(tiny_clips, tiny_members):
    recipe = Recipe('fixed', FIXED, 16)
    first, second = (recipe.views(tiny_members[0], tiny_clips, epoch) for epoch in (1, 2))
    np.testing.assert_array_equal(first.affine, second.affine)
    np.testing.assert_array_equal(np.unique(first.clip), tiny_members[0].fold.train)
    assert len(first) == 6 * len(tiny_members[0].fold.train)


def test_random_views_are_drawn_anew_for_each_epoch_and_seed(tiny_clips, tiny_members, tiny_recipe):
    member = tiny_members[0]
    first, same, later, other = (
        tiny_recipe.views(one, tiny_clips, epoch).affine
        for one, epoch in (
            (member, 1), (member, 1), (member, 2), (dataclasses.replace(member, seed=6), 1)
        )
    )  # fmt: skip
    np.testing.assert_array_equal(first, same)
    assert (first != later).any() and (first != other).any()


def test_views_of_a_test_clip_are_a_leak(tiny_clips, tiny_members, monkeypatch):
    member = tiny_members[0]
    monkeypatch.setitem(
        members.AUGMENTATIONS, 'fixed', lambda *_, **__: views.identity(member.fold.test)
    )
    with pytest.raises(UserError, match='leak: training views'):
        Recipe('fixed', {}, 8).views(member, tiny_clips, 1)


def test_class_weights_that_saw_a_test_clip_are_a_leak(tiny_clips, tiny_members, monkeypatch):
    weights, folds = fitted.class_weights, tuple(member.fold for member in tiny_members)
    protocol = Protocol('mine', True, folds)
    assert len(members.make_members(protocol, tiny_clips, seeds=[0], fold=0, class_weights=True))
    monkeypatch.setattr(
        fitted, 'class_weights', lambda label, _, n: weights(label, folds[0].test[:1], n)
    )
    with pytest.raises(UserError, match='leak: the class weights'):
        members.make_members(protocol, tiny_clips, seeds=[0], fold=0, class_weights=True)


def test_an_epoch_shows_each_fixed_view_once_in_another_order(tiny_clips, tiny_members):
    recipe = Recipe('fixed', FIXED, 16)
    table = recipe.views(tiny_members[0], tiny_clips, 1)
    orders = []
    for epoch in (1, 2):
        batch = recipe.batches(tiny_members[:1], tiny_clips, epoch, [True])
        assert batch.clip.shape[1:] == (recipe.steps(tiny_members[0], tiny_clips), 16)
        shown = [
            (int(clip), affine.tobytes())
            for clip, affine in zip(batch.clip[batch.mask], batch.affine[batch.mask], strict=True)
        ]
        wanted = [(int(c), a.tobytes()) for c, a in zip(table.clip, table.affine, strict=True)]
        assert sorted(shown) == sorted(wanted)
        orders.append(shown)
    assert orders[0] != orders[1]


@pytest.mark.parametrize(
    'kind, options, message',
    [
        ('mirror', {}, "unknown augment.kind 'mirror': one of none, class_counts, fixed, random"),
        (
            'fixed',
            {**FIXED, 'angle': 3},
            "config.augment.fixed has an unknown key 'angle': it takes angles, mirrored",
        ),
    ],
)
def test_mistakes_are_the_user_s(tiny_clips, tiny_members, kind, options, message):
    with pytest.raises(UserError, match=message):
        Recipe(kind, options, 8).views(tiny_members[0], tiny_clips, 1)


def test_a_step_has_no_more_rows_than_there_are_views(tiny_clips, tiny_members):
    clips = len(tiny_members[0].fold.train)
    whole = Recipe('none', {}, clips).batches(tiny_members[:1], tiny_clips, 1, [True])
    huge = Recipe('none', {}, 1_000_000).batches(tiny_members[:1], tiny_clips, 1, [True])
    assert huge.clip.shape == (1, 1, clips)
    np.testing.assert_array_equal(huge.clip, whole.clip)
    small = Recipe('none', {}, clips - 1).batches(tiny_members[:1], tiny_clips, 1, [True])
    assert small.clip.shape == (1, 2, clips - 1) and small.mask.sum() == clips
