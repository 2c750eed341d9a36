"""Ranges of what a config may set: one list, every number of it checked."""

import math

import pytest

from fer_jax import cli, main
from fer_jax.config import complete, find_config, keys, load_config, merged, ranges
from fer_jax.errors import UserError

pytestmark = pytest.mark.filterwarnings('ignore:the load_module:DeprecationWarning')

WRONG = [
    ('seed', -1),
    ('train.seeds', 0),
    ('train.epochs', 10**20),
    ('train.epochs', 0),
    ('train.patience', -1),
    ('train.batch_size', 0),
    ('data.size', 0),
    ('data.size', 100_000),
    ('data.frames', 0),
    ('data.margin', 1e-9),
    ('model.dropout_rate', -1.0),
    ('model.dropout_rate', 1.0),
    ('model.dropout_rate', 2.0),
    ('loss.l2', -1.0),
    ('augment.options.flip', -1.0),
    ('augment.options.flip', 2.0),
    ('augment.options.scale', 2.0),
    ('augment.options.scale', math.nan),
    ('augment.options.rotation', math.inf),
    ('optimizer.learning_rate', math.nan),
    ('optimizer.learning_rate', -1e-3),
    ('optimizer.every', 0),
    ('optimizer.warmup', 1.0),
    ('optimizer.average', 1.0),
    ('train.members_at_once', -1),
    ('train.steps_per_call', -1),
    ('protocol.validation', 1.0),
    ('distill.share', 0.0),
    ('model.localiser_kernels', (0, 3)),
]


def stated(key, value):
    """A config that states one value more."""
    for name in reversed(key.split('.')):
        value = {name: value}
    random = {'augment': {'kind': 'random', 'options': {'flip': 0.5}}}
    return merged(load_config('fer2013_stn.py'), random, value)


@pytest.mark.parametrize('key, value', WRONG)
def test_a_value_out_of_range_is_refused(key, value):
    with pytest.raises(UserError, match=rf'^config\.{key} is \S+: give ') as caught:
        complete(stated(key, value))
    assert '\n' not in str(caught.value)


@pytest.mark.parametrize('name', ['/dev/zero', '../up', 'a/b', 'a\nb', '\x1b[31m', 'a' * 101])
def test_a_name_that_would_lead_out_of_the_folder_of_runs_is_refused(name):
    with pytest.raises(UserError, match=r'^config\.name is .*: give up to 100 letters') as caught:
        complete(stated('name', name))
    assert str(caught.value).isprintable()


@pytest.mark.parametrize('name', ['ckplus_c3d', 'my run 2', 'опыт-1.5'])
def test_a_name_in_any_script_is_kept(name):
    assert complete(stated('name', name)).name == name


def leaves(values, path=''):
    """Dotted keys and values of a config, sections opened."""
    for key, value in values.items():
        if isinstance(value, dict):
            yield from leaves(value, f'{path}{key}.')
        else:
            yield f'{path}{key}', value


def every_default():
    """Neutral values of every key of every kind, under the name of each kind."""
    for section, (name, kinds) in keys.KINDS.items():
        for kind in kinds:
            sources = {source: {} for source in keys.SOURCES}
            named = {'model': {'name': 'stn'}, 'protocol': {'name': 'random'}} | sources
            yield keys.defaults({**named, section: {name: kind}})
    yield keys.SYSTEM


def test_the_list_names_keys_that_there_are_and_allows_what_is_neutral():
    known = dict(pair for found in every_default() for pair in leaves(found))
    numbers = {key for key, value in known.items() if type(value) in (int, float)}
    assert set(ranges.RANGES) <= set(known)
    for found in every_default():
        ranges.check(found)
    free = {
        'data.channels',
        'data.points',
        'inputs.channels',
        'model.identity_scale',
        'model.depth',
    }
    assert numbers - set(ranges.RANGES) == free  # a few values each, or any


def test_words_say_which_end_belongs_to_a_range():
    assert str(ranges.BELOW_ONE) == '0 to below 1'
    assert str(ranges.PART) == 'above 0 to 1'
    assert str(ranges.COUNT) == '1 or more'
    assert str(ranges.POSITIVE) == 'above 0'


def test_nothing_is_written_where_a_value_is_refused(tmp_path):
    file = find_config('fer2013_stn.py')
    argv = [f'--config={file}', '--config.optimizer.learning_rate=nan']
    with pytest.raises(UserError, match='learning_rate is nan: give a finite number'):
        cli.call(main.main, main.define, [*argv, f'--workdir={tmp_path / "run"}'])
    assert not list(tmp_path.iterdir())
