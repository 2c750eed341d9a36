"""Building on the networks of another run, without letting its training clips into a test part."""

import dataclasses
import functools
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax import traverse_util

from fer_jax.data import checksums
from fer_jax.data.clips import ClipSet, recordings
from fer_jax.data.protocols import Fold
from fer_jax.errors import UserError
from fer_jax.evaluation import rundir
from fer_jax.training import model_folder
from fer_jax.training.checkpoint import read_best
from fer_jax.training.members import Member
from fer_jax.training.optimizers import evaluated_weights, wrap_like
from fer_jax.training.state import TrainState


@dataclasses.dataclass(frozen=True)
class Source:
    """A finished run, or a model folder, whose networks others start from or learn from.

    Attributes:
      path: its directory.
      chain: what dataset.json of the new run says of it: run, config, dataset, commit, SHA-256 of
        its probabilities, which another training at its place would not have, and what the run
        itself started or learned from.
      fold, seed: int [member].
      seen: for each fold, the ids of the clips that its network was fitted or chosen on.
      classes: what the networks know.
      option: of the config, for messages.
      failed: members that diverged, whose networks nobody takes.
      tested: for each fold, the ids of its test clips, which nothing that its network builds on
        has seen; a model folder does not tell them.
      trained: for each fold, those of `seen` that a network was fitted on; all of them where it was
        trained again, and of a model folder, which does not tell.
    """

    path: Path
    chain: dict[str, Any]
    fold: np.ndarray
    seed: np.ndarray
    seen: Mapping[int, frozenset[str]]
    classes: Sequence[str]
    option: str = 'init.run'
    failed: frozenset[int] = frozenset()
    tested: Mapping[int, frozenset[str]] = dataclasses.field(default_factory=dict)
    trained: Mapping[int, frozenset[str]] = dataclasses.field(default_factory=dict)

    @classmethod
    def open(cls, path: str, option: str = 'init.run') -> 'Source':
        """Reads all but the networks of what a user names; UserError where it is neither."""
        folder = Path(path).expanduser()
        rundir.check_run(folder)
        if path in model_folder.shipped() or model_folder.is_folder(folder):
            return cls._of_folder(model_folder.find(path), option)
        rundir.check_finished(folder, option)
        run = rundir.load(folder)
        table, dataset = run.predictions, run.dataset
        chain = {
            'run': folder.name,
            'config': run.name,
            'dataset': dataset['name'],
            'simulated': bool(dataset['simulated']),
            'commit': run.versions.get('commit', 'unknown'),
            'probabilities': checksums.sha256(folder / 'probabilities.npz'),
            'starts_from': dataset.get('starts_from'),
            'features_from': dataset.get('features_from'),
            'taught_by': dataset.get('taught_by', []),
        }
        folds = run.folds['folds']
        seen = {k: frozenset(fold['train'] + fold['validation']) for k, fold in enumerate(folds)}
        tested = {k: frozenset(fold['test']) for k, fold in enumerate(folds)}
        fitted = {k: frozenset(fold['train']) for k, fold in enumerate(folds)}
        trained = seen if table.retrained.any() else fitted
        failed = frozenset(np.flatnonzero(table.failed).tolist())
        classes = dataset['classes']
        return cls(
            folder,
            chain,
            table.fold,
            table.seed,
            seen,
            classes,
            option,
            failed,
            tested,
            trained,
        )

    @classmethod
    def _of_folder(cls, folder: Path, option: str) -> 'Source':
        config = model_folder.read_config(folder)
        fold, seed = (
            np.array([member[key] for member in config['members']]) for key in ('fold', 'seed')
        )
        chain = {**config['trained_on'], 'weights': config['weights']['sha256']}
        seen = model_folder.read_seen(folder)
        return cls(folder, chain, fold, seed, seen, config['classes'], option, trained=seen)

    def choose(self, member: Member, clips: ClipSet) -> int:
        """Chooses the member of this run whose network a member may build on, as `choose_for`."""
        return self.choose_for(member.fold, member.fold_number, member.seed, clips)

    def choose_for(self, fold: Fold, number: int, seed: int, clips: ClipSet) -> int:
        """Chooses the member of this run whose network a fold's member may build on.

        Where both runs have a dataset in common that is one whose training and validation clips are
        no test clips of the member; where what it builds on has one in common, one that was tested
        on the member's test clips. Among several, and on another dataset, the one with the same
        fold and seed comes first, then the same fold, then the first.

        Raises:
          UserError: each of them has seen a clip that the member is tested on, or builds on a
            network that may have.
        """
        possible = sound = [i for i in range(len(self.fold)) if i not in self.failed]
        datasets = set(clips.name.split('+'))
        tested = recordings(clips.name, clips.clip_id[fold.test].tolist())
        if datasets & set(self.chain['dataset'].split('+')):
            possible = [i for i in possible if not tested & self._recordings[self.fold[i]]]
            if not possible:
                known = sorted(tested & self._recordings[self.fold[sound[0]]])[0].split('/', 1)[1]
                raise UserError(
                    f'{self.option}: every network of {self.path} was trained on test clips of '
                    f'fold {number}, e.g. {known}: give both runs the same protocol'
                )
        if earlier := datasets & _built_on(self.chain):
            possible = [i for i in possible if tested <= self._tested[self.fold[i]]]
            if not possible:
                raise UserError(
                    f'{self.option}: what the networks of {self.path} build on was trained on '
                    f'{" and ".join(sorted(earlier))} as well, perhaps on test clips of fold '
                    f'{number}: give all runs of the chain the same dataset and '
                    'protocol, or networks that never saw it'
                )
        return min(
            possible,
            key=lambda i: (
                self.fold[i] != number,
                self.seed[i] != seed,
                i,
            ),
        )

    def check_judging(self, clips: ClipSet, chosen: np.ndarray, tested: np.ndarray) -> None:
        """Refuses (UserError) networks that cannot be part of what these clips judge.

        Nor may any that they build on be of the clips' dataset: which clips it saw is not known.

        Args:
          chosen: int, clips on which no network may be trained.
          tested: int, clips that no network may have seen at all.
        """
        if clips.name in _built_on(self.chain):
            raise UserError(
                f'{self.option}: what the networks of {self.path} build on was trained on '
                f'{clips.name} as well, perhaps on clips on which this run searches or judges: '
                'give networks that never saw it'
            )
        name = self.chain['dataset']
        if clips.name not in name.split('+'):
            return
        for part, known in ((chosen, self.trained), (tested, self.seen)):
            ids = recordings(clips.name, clips.clip_id[part].tolist())
            if both := ids & recordings(name, frozenset().union(*known.values())):
                raise UserError(
                    f'{self.option}: a network of {self.path} learned from {min(both)}, on which '
                    'this run searches or judges: give networks that learned from other data'
                )

    def doubtful(self, name: str, tested: Iterable[str], folds: Iterable[int]) -> list[str]:
        """Lists the datasets of test clips that what the networks build on may have seen.

        Those that it was trained on as well, unless each of the networks' folds tested these clips.

        Args:
          name: the test clips' set, e.g. 'fer2013+afew'.
          tested: their ids.
          folds: of the networks that are judged.
        """
        names = recordings(name, tested)
        if all(names <= self._tested[fold] for fold in folds):
            return []
        return sorted(set(name.split('+')) & _built_on(self.chain))

    def start(
        self, members: Sequence[Member], clips: ClipSet, without: Sequence[str] = ()
    ) -> list[Member]:
        """Gives members the networks that they start from.

        Args:
          without: parameters that are not taken over, e.g. 'fc2/kernel'.

        Raises:
          UserError: as for `choose`.
        """
        chosen = [self.choose(member, clips) for member in members]
        networks = {index: _without(self.network(index), without) for index in sorted(set(chosen))}
        return [
            dataclasses.replace(member, start=networks[index])
            for member, index in zip(members, chosen, strict=True)
        ]

    @functools.cached_property
    def _recordings(self) -> dict[int, set[str]]:
        """Lists what each fold has `seen`, by the names that no combination of datasets changes."""
        name = self.chain['dataset']
        return {fold: recordings(name, seen) for fold, seen in self.seen.items()}

    @functools.cached_property
    def _tested(self) -> dict[int, set[str]]:
        """Lists what each fold has `tested`, by those names; nothing where that is not known."""
        name = self.chain['dataset']
        return {k: recordings(name, self.tested.get(k, ())) for k in set(self.fold.tolist())}

    def network(self, index: int) -> dict:
        """Reads {'params', 'batch_stats'} of a member's best epoch."""
        if model_folder.is_folder(self.path):
            config = model_folder.read_config(self.path)
            arrays = model_folder.read_arrays(self.path, config)[index]
            return {'params': arrays['params'], 'batch_stats': arrays.get('batch_stats', {})}
        return read_best(self.path / 'checkpoints' / f'{index:03}')[1]


def earlier(chain: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Lists the chains of all that a run started from or learned from, those before it in turn."""
    before = [chain.get('starts_from'), chain.get('features_from'), *(chain.get('taught_by') or ())]
    return [found for link in before if link for found in (link, *earlier(link))]


def _built_on(chain: Mapping[str, Any]) -> set[str]:
    """Names the datasets of all that a run started from or learned from, by its `chain`."""
    return {name for link in earlier(chain) for name in link['dataset'].split('+')}


def graft(state: TrainState, network: Mapping) -> TrainState:
    """Puts a network's arrays into a fresh state, where name and shape agree.

    What differs stays as it was initialised: the head, where the number of classes is another
    (haddad2020, rows c3 and c4 of Tables 4 and 5). One of as many others `Source.start` leaves out.

    Args:
      state: of one member, without a leading axis.
      network: {'params', 'batch_stats'}.
    """
    own = evaluated_weights(state.params)
    params = _replaced(own, network['params'])
    batch_stats = _replaced(evaluated_weights(state.batch_stats), network['batch_stats'] or {})
    return dataclasses.replace(
        state,
        params=wrap_like(params, state.params),
        batch_stats=wrap_like(batch_stats, state.batch_stats),
    )


def fresh(params: Any, network: Mapping) -> list[str]:
    """Lists the parameters, e.g. 'fc2/kernel', that `graft` leaves as they were initialised.

    Args:
      params: arrays, or their shapes.

    Raises:
      UserError: all of them: the network is another one.
    """
    known = _by_path(network['params'])
    own = _by_path(evaluated_weights(params))
    names = [path for path, leaf in own.items() if not _fits(known.get(path), leaf)]
    if len(names) == len(own):
        raise UserError('init.run: no parameter of its network fits this model: it is another one')
    return names


def check_frozen(frozen: Sequence[str], chain: Mapping[str, Any] | None) -> None:
    """Holds a run to it that what training leaves as it is comes from another run.

    Args:
      frozen: names of the parameters' first level, `System.frozen`.
      chain: `starts_from` of dataset.json, None for a run that starts anew.

    Raises:
      UserError: there is no other run, or its network lacks some of these parameters.
    """
    if frozen and chain is None:
        raise UserError(
            f'model.freeze keeps {", ".join(frozen)} as another run has trained them: give '
            '--config.init.run, or --config.model.freeze=False to train all together'
        )
    unfit = [name for name in chain['fresh'] if name.split('/')[0] in frozen] if chain else []
    if unfit:
        raise UserError(
            f'model.freeze keeps {unfit[0]}, which the network of init.run does not have in this '
            'size: train both with the same model options'
        )


def _without(network: Mapping, names: Sequence[str]) -> dict:
    flat = traverse_util.flatten_dict(network['params'], sep='/')
    kept = {name: leaf for name, leaf in flat.items() if name not in names}
    return {**network, 'params': traverse_util.unflatten_dict(kept, sep='/')}


def _replaced(own, given):
    known = _by_path(given)

    def choose(path, leaf):
        found = known.get(_name(path))
        return np.asarray(found, leaf.dtype) if _fits(found, leaf) else leaf

    return jax.tree_util.tree_map_with_path(choose, own)


def _fits(found, leaf) -> bool:
    return found is not None and np.shape(found) == leaf.shape


def _by_path(tree) -> dict:
    return {_name(path): leaf for path, leaf in jax.tree_util.tree_leaves_with_path(tree)}


def _name(path) -> str:
    return jax.tree_util.keystr(path, simple=True, separator='/')
