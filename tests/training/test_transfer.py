"""Starting from another run's network: what is taken over, what stays fresh, what is refused."""

import dataclasses
import importlib.util
import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict

from fer_jax import models
from fer_jax.config import complete, load_config
from fer_jax.data.fitted import TARGET_SHAPE
from fer_jax.data.protocols import Fold
from fer_jax.errors import UserError
from fer_jax.evaluation import predictions
from fer_jax.experiment import first_stage, run_files
from fer_jax.experiment.learners import NetworkLearner
from fer_jax.training import loop, transfer
from fer_jax.training.members import per_member
from fer_jax.training.optimizers import evaluated_weights, trained
from fer_jax.training.state import Resident


def fresh_state(system, member, clips):
    own = jax.tree.map(lambda x: x[0], per_member([member], [10]))
    return system.init(own, Resident(clips.frames, clips.length, clips.label))


def other_network(state):
    """A network like this state's with every array at 2 or 3, and a head of five classes."""
    params = jax.tree.map(
        lambda x: np.full(x.shape, 2, np.float32), evaluated_weights(state.params)
    )
    params['fc2'] = {'kernel': np.full((8, 5), 2, np.float32), 'bias': np.full(5, 2.0)}
    stats = jax.tree.map(
        lambda x: np.full(x.shape, 3, np.float32), evaluated_weights(state.batch_stats)
    )
    return {'params': params, 'batch_stats': stats}


@pytest.mark.parametrize('option', [{}, {'lookahead': True}, {'average': 0.9}])
def test_all_but_the_head_is_taken_over(tiny_system, tiny_members, tiny_clips, option):
    system = dataclasses.replace(tiny_system, optimizer={**tiny_system.optimizer, **option})
    before = fresh_state(system, tiny_members[0], tiny_clips)
    given = other_network(before)
    after = transfer.graft(before, given)
    assert jax.tree.structure(after) == jax.tree.structure(before)
    for params in (trained(after.params), evaluated_weights(after.params)):
        assert (params['conv']['kernel'] == 2).all() and (params['fc1']['bias'] == 2).all()
        own = evaluated_weights(before.params)['fc2']['kernel']
        np.testing.assert_array_equal(params['fc2']['kernel'], own)
    assert all((leaf == 3).all() for leaf in jax.tree.leaves(after.batch_stats))
    assert transfer.fresh(before.params, given) == ['fc2/bias', 'fc2/kernel']


def test_another_network_is_refused(tiny_system, tiny_members, tiny_clips):
    state = fresh_state(tiny_system, tiny_members[0], tiny_clips)
    with pytest.raises(UserError, match='no parameter of its network fits this model'):
        transfer.fresh(state.params, {'params': {'conv9': {'kernel': np.ones(3)}}})


def test_a_started_member_is_judged_as_its_source_was(
    tiny_system, tiny_members, tiny_clips, tiny_recipe, tmp_path
):
    def train(folder, members, epochs):
        return loop.train(
            tiny_system, members, tiny_clips, tiny_recipe,
            loop.Schedule(epochs=epochs, evaluate_batch=16), tmp_path / folder,
            devices=jax.devices()[:1],
        )  # fmt: skip

    members = tiny_members[2:4]  # with validation clips, and without
    members = [dataclasses.replace(m, index=i) for i, m in enumerate(members)]
    source = train('source', members, 3)
    started = []
    for member, record in zip(members, source, strict=True):
        epoch, best = record.checkpoints.restore_best()
        assert epoch == record.best_epoch()
        # A learning rate of 0 keeps the network: what is judged is what was taken over.
        started.append(dataclasses.replace(member, start=best, learning_rate=0.0))
    records = train('started', started, 1)
    unlike = train('fresh', [dataclasses.replace(m, learning_rate=0.0) for m in members], 1)
    for one, other, fresh in zip(source, records, unlike, strict=True):
        np.testing.assert_allclose(
            other.probabilities()[0], one.probabilities()[one.best_epoch() - 1], atol=0.12
        )
        assert np.abs(fresh.probabilities()[0] - other.probabilities()[0]).max() > 0.01


def source(name, dataset, seen, **more):
    """A run of two folds, which tested what it did not see."""
    every = {'c0', 'c1', 'c2', 'c3'} if dataset == 'ckplus' else {'o0', 'o1'}
    return transfer.Source(
        path=Path(name),
        chain={'run': name, 'dataset': dataset, **more},
        fold=np.arange(2),
        seed=np.zeros(2, int),
        seen=dict(enumerate(map(frozenset, seen))),
        classes=('a', 'b'),
        tested={fold: frozenset(every - own) for fold, own in enumerate(seen)},
    )


def test_no_run_between_hides_what_an_earlier_one_was_trained_on(tiny_members, tiny_clips):
    """A was trained on CK+, B from A on Oulu-CASIA: the weights of B have seen CK+ as well."""
    folds = ({'c0', 'c1'}, {'c2', 'c3'})
    names = ('frames', 'length', 'label', 'subject', 'split')
    few = {name: getattr(tiny_clips, name)[:4] for name in names}
    names = np.array(['c0', 'c1', 'c2', 'c3'])
    ckplus = dataclasses.replace(tiny_clips, name='ckplus', clip_id=names, **few)
    tests = Fold(train=np.array([0, 1]), validation=np.zeros(0, int), test=np.array([2, 3]))
    member = dataclasses.replace(tiny_members[0], fold=tests, fold_number=0)
    first = source('A', 'ckplus', folds)
    assert first.choose(member, ckplus) == 0
    for link in ('starts_from', 'features_from', 'taught_by'):
        chain = [first.chain] if link == 'taught_by' else first.chain
        other = source('B', 'oulu_casia', ({'o0'}, {'o1'}), **{link: chain})
        with pytest.raises(UserError, match='networks of B build on was trained on ckplus as well'):
            other.choose(member, ckplus)
        deeper = source('C', 'fer2013', ({'o0'}, {'o1'}), starts_from=other.chain)
        with pytest.raises(UserError, match='networks of C build on was trained on ckplus as well'):
            deeper.choose(member, ckplus)
    # With the same dataset and folds throughout, what B tests A has not seen.
    same = source('B', 'ckplus', folds, starts_from=first.chain)
    assert same.choose(member, ckplus) == 0
    part = dataclasses.replace(same, tested={0: frozenset(['c2']), 1: frozenset()})
    with pytest.raises(UserError, match='perhaps on test clips of fold 0: give all runs'):
        part.choose(member, ckplus)


def test_a_fold_of_another_division_gets_the_shape_that_its_features_network_was_fitted_with(
    monkeypatch, tiny_clips
):
    """Fold 1 tests what network 1 trained on: features and shape are those of network 0."""
    names = ('frames', 'length', 'label', 'subject', 'split')
    few = {name: getattr(tiny_clips, name)[:4] for name in names}
    ids = np.array(['c0', 'c1', 'c2', 'c3'])
    clips = dataclasses.replace(tiny_clips, name='ckplus', clip_id=ids, **few)
    shapes = {0: np.zeros((5, 2)), 1: np.ones((5, 2))}
    monkeypatch.setattr(
        first_stage.TrainedNetwork,
        'open',
        lambda _, network: SimpleNamespace(
            fits=SimpleNamespace(values={TARGET_SHAPE: (shapes[network],)})
        ),
    )
    stage = first_stage.FirstStage(
        source('A', 'ckplus', ({'c0', 'c1'}, {'c2', 'c3'})), 'pool2', ('a', 'b')
    )
    loaded = SimpleNamespace(registration='mean_shape')
    for number, tested in ((1, [2, 3]), (1, [0, 1]), (7, [0])):
        rest = np.setdiff1d(np.arange(4), tested)
        fold = Fold(train=rest, validation=np.zeros(0, int), test=np.array(tested))
        wanted = stage.source.choose_for(fold, number, 0, clips)
        assert not {f'c{k}' for k in tested} & stage.source.seen[wanted]
        np.testing.assert_array_equal(
            stage.target_shape(fold, number, clips, loaded), shapes[wanted]
        )


def parameters_of(name, variant, classes):
    """Shapes of the parameters that a config's network has on its own frames."""
    path = Path(__file__).parents[2] / 'configs' / f'{name}.py'
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    config = module.get_config(variant)
    network = models.build(**config.model, num_classes=classes)
    shape = (1, config.data.frames, config.data.size, config.data.size, config.inputs.channels)
    frames = jax.ShapeDtypeStruct(shape, jnp.float32)
    return jax.eval_shape(network.init, jax.random.key(0), frames)['params']


@pytest.mark.parametrize('simulated', ['', ',simulated'])
@pytest.mark.parametrize(
    'source, target',
    [
        (('oulu_casia_c3d', '', 6), ('ckplus_c3d', 'table3', 7)),  # haddad2020, Table 4, c3
        (('ckplus_c3d', 'balanced', 7), ('oulu_casia_c3d', 'table2', 6)),  # Table 5, c4
    ],
)
def test_haddads_networks_go_on_from_each_other_but_for_the_head(source, target, simulated):
    given, own = (
        parameters_of(name, (variant + simulated).strip(','), classes)
        for name, variant, classes in (source, target)
    )
    assert transfer.fresh(own, {'params': given}) == ['fc3/bias', 'fc3/kernel']


@pytest.mark.parametrize('simulated', ['', ',simulated'])
def test_sauravs_second_branch_takes_the_convolutions_trained_on_fer2013(simulated):
    given = parameters_of('fer2013_two3', simulated.strip(','), 7)
    own = parameters_of('afew_convlstm', f'two_branch{simulated}', 7)
    fresh = {name.split('/')[0] for name in transfer.fresh(own, {'params': given})}
    assert fresh == set(own) - {'frames'}
    assert set(given) - set(own) == set()  # its classifier 'fc1' is of another shape


@pytest.mark.parametrize('variant', ['', 'simulated'])
def test_fer2013_is_trained_at_the_size_of_the_frames_that_sauravs_second_branch_gets(variant):
    sizes = {
        load_config('fer2013_two3.py', variant).data.size,
        load_config('afew_convlstm.py', f'two_branch,{variant}'.strip(',')).data.size,
    }
    assert len(sizes) == 1


def source_of(clips, folds, pairs):
    seen = {k: frozenset(clips.clip_id[np.array(t)].tolist()) for k, t in enumerate(folds)}
    fold, seed = np.array(pairs).T
    chain = {'dataset': clips.name}
    return transfer.Source('runs/first', chain, fold, seed, seen, clips.classes)


def test_the_network_with_the_same_fold_and_seed_comes_first(tiny_clips, tiny_members):
    # Every fold was trained on clip 39 only, which no member here is tested on.
    source = source_of(tiny_clips, [[39]] * 4, [(f, s) for f in range(4) for s in (4, 5)])
    member = dataclasses.replace(tiny_members[1], fold=Fold(*(np.array([i]) for i in range(3))))
    assert source.choose(member, tiny_clips) == 3
    assert source.choose(dataclasses.replace(member, seed=9), tiny_clips) == 2
    assert source.choose(dataclasses.replace(member, fold_number=7), tiny_clips) == 1


@pytest.mark.parametrize('other', [False, True])
def test_a_head_of_as_many_other_classes_starts_anew(monkeypatch, tiny_clips, tiny_members, other):
    config = complete(load_config('fer2013_plain.py'))
    changes = {'init.run': 'first', 'inputs.crop': 0, 'model.filters': (2, 2),
               'model.convolutions': (1, 1)}  # fmt: skip
    config.update_from_flattened_dict(changes)
    learner = NetworkLearner.open(config)
    first = dataclasses.replace(tiny_clips, name='first', classes=tiny_clips.classes[::-1])
    known = source_of(first if other else tiny_clips, [[10]], [(0, 5)])
    monkeypatch.setattr(transfer.Source, 'open', lambda path: known)
    *_, state = learner._shapes(tiny_members, tiny_clips)
    params = jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), evaluated_weights(state.params))
    network = {'params': params, 'batch_stats': {}}
    monkeypatch.setattr(transfer.Source, 'network', lambda source, index: network)
    started = learner.start(tiny_members[:1], tiny_clips)
    head = ['classifier/bias', 'classifier/kernel'] if other else []
    assert transfer.fresh(params, started[0].start) == head
    assert learner.origin(started, tiny_clips)['starts_from']['fresh'] == head


def test_a_network_that_saw_test_clips_is_passed_over_and_refused(tiny_clips, tiny_members):
    member = tiny_members[0]
    tested = member.fold.test
    source = source_of(tiny_clips, [tested[:1], [39 if 39 not in tested else 0]], [(0, 5), (1, 5)])
    assert source.choose(member, tiny_clips) == 1
    leaking = source_of(tiny_clips, [tested[:1]], [(0, 5)])
    with pytest.raises(UserError, match=f'test clips of fold 0, e.g. clip{tested[0]:03}'):
        leaking.choose(member, tiny_clips)
    leaking.chain['dataset'] = 'another'
    assert leaking.choose(member, tiny_clips) == 0


def test_what_is_frozen_comes_from_another_run():
    transfer.check_frozen((), None)
    transfer.check_frozen(('frames',), {'fresh': ['rnn/input/kernel', 'frames2/kernel']})
    with pytest.raises(UserError, match='keeps frames, fc1 as another run has trained them: give'):
        transfer.check_frozen(('frames', 'fc1'), None)
    with pytest.raises(UserError, match='keeps fc1/kernel, which the network of init.run does not'):
        transfer.check_frozen(('frames', 'fc1'), {'fresh': ['fc1/kernel', 'rnn/input/bias']})


def test_an_unfinished_run_is_no_source(tmp_path):
    with pytest.raises(UserError, match='init.run: .* has not finished'):
        transfer.Source.open(str(tmp_path))


def test_a_run_that_was_trained_anew_at_its_place_is_another_source(finished_run, tmp_path):
    run = tmp_path / 'run'
    shutil.copytree(finished_run, run)
    (run / 'checkpoints').mkdir()
    begun = {'features_from': transfer.Source.open(str(run)).chain}
    assert transfer.Source.open(str(run)).chain == begun['features_from']
    run_files.begin(tmp_path / 'next', ConfigDict(), {}, begun)
    table = predictions.load(run / 'probabilities.npz')
    dataclasses.replace(table, probabilities=table.probabilities[..., ::-1]).save(
        run / 'probabilities.npz'
    )
    since = {'features_from': transfer.Source.open(str(run)).chain}
    with pytest.raises(UserError, match='or the run that it builds on; give another --workdir'):
        run_files.begin(tmp_path / 'next', ConfigDict(), {}, since)


@pytest.mark.parametrize(
    ('file', 'key'),
    [('dataset.json', 'classes'), ('dataset.json', 'name'), ('folds.json', 'folds')],
)
def test_a_source_that_lacks_a_key_is_refused_in_a_line(finished_run, tmp_path, file, key):
    run = tmp_path / 'run'
    shutil.copytree(finished_run, run)
    (run / 'checkpoints').mkdir()
    transfer.Source.open(str(run))
    about = json.loads((run / file).read_text())
    del about[key]
    (run / file).write_text(json.dumps(about))
    with pytest.raises(UserError, match=f'{file} lacks {key}'):
        transfer.Source.open(str(run))
