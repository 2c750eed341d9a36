"""Learning from what finished runs say: their networks as teachers of another one's training.

Knowledge distillation (Hinton et al. 2015, arXiv 1503.02531) with the teachers' mean as target.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from fer_jax.data.clips import ClipSet
from fer_jax.errors import UserError
from fer_jax.experiment.clips import ClipSource
from fer_jax.experiment.learners import NetworkLearner
from fer_jax.experiment.trained import TrainedNetwork, sections_of
from fer_jax.training import transfer
from fer_jax.training.members import Member
from fer_jax.training.teacher import Teacher

_OPTION = 'distill.runs'


@dataclasses.dataclass(frozen=True)
class Distillation:
    """The runs that a config's section `distill` names, whose networks members learn from.

    Attributes:
      sources: the runs.
      share: as of `network_sections.Distill`.
      teachers: the static part of the networks, one a run.
    """

    sources: Sequence[transfer.Source]
    share: float
    teachers: Sequence[Teacher]

    @classmethod
    def open(
        cls, learner: NetworkLearner, clip_source: ClipSource, classes: Sequence[str]
    ) -> 'Distillation':
        """Reads the runs, and one network of each for what all of them have in common.

        Args:
          learner: whose section `distill` names runs.
          clip_source: of the clips that its members learn from.
          classes: of these clips.

        Raises:
          UserError: no finished run, or one of another geometry or of other classes.
        """
        names = [name.strip() for name in learner.distill.runs.split(',') if name.strip()]
        sources = [transfer.Source.open(name, _OPTION) for name in names]
        teachers = []
        for run in sources:
            _check(run, learner, clip_source)
            first = next(i for i in range(len(run.fold)) if i not in run.failed)
            teachers.append(_teacher(TrainedNetwork.open(run.path, first), classes))
        return cls(sources, learner.distill.share, teachers)

    def teach(self, members: Sequence[Member], clips: ClipSet) -> list[Member]:
        """Gives each member the arrays of a network of each run.

        Raises:
          UserError: all networks of a run have seen the member's test clips.
        """
        read: dict[tuple[int, int], Mapping[str, Any]] = {}

        def arrays(number: int, member: Member) -> Mapping[str, Any]:
            run = self.sources[number]
            chosen = run.choose(member, clips)
            if (number, chosen) not in read:
                network = TrainedNetwork.open(run.path, chosen)
                mean, std = network.fits.mean_std
                read[number, chosen] = {
                    'params': network.variables['params'],
                    'batch_stats': network.variables.get('batch_stats', {}),
                    'mean': mean,
                    'std': std,
                }
            return read[number, chosen]

        return [
            dataclasses.replace(
                member, teachers=tuple(arrays(n, member) for n in range(len(self.sources)))
            )
            for member in members
        ]

    def chain(self, members: Sequence[Member], clips: ClipSet) -> list[dict[str, Any]]:
        """Returns what dataset.json says of the runs, and which network teaches each member."""
        return [
            {
                **run.chain,
                'share': self.share,
                'networks': [run.choose(member, clips) for member in members],
            }
            for run in self.sources
        ]


def _check(run: transfer.Source, learner: NetworkLearner, clip_source: ClipSource) -> None:
    """Refuses (UserError) a run whose networks cannot see the views of the student's clips."""
    sections = sections_of(run.path)
    if sections.section or not isinstance(sections.learner, NetworkLearner):
        raise UserError(f'{_OPTION}: {run.path} is no run of a network that sees faces')
    there = _looks(sections.clips)
    for key, own in _looks(clip_source).items():
        if own != (other := there.get(key)):
            raise UserError(
                f'{_OPTION}: data.{key} of {run.path} is {other}, here it is {own}: train both on '
                'the same frames'
            )
    own, other = learner.equalize, sections.learner.equalize
    if own != other:
        raise UserError(f"{_OPTION}: inputs.equalize of {run.path} is '{other}', here '{own}'")


def _looks(source: ClipSource) -> dict[str, Any]:
    """Returns what clips of both runs must have in common, by its key of the section `data`.

    A teacher sees a view of the student's frames. Of clips of one frame it does not matter which of
    a film's it was, and points matter where a registration is fitted on them.
    """
    keys = ['size', 'channels', 'registration', 'margin', 'equalize']
    keys += ['sampling', 'order'] * (source.clip_frames > 1) + ['points'] * source.is_fitted
    return {'frames': source.clip_frames} | {key: getattr(source, key) for key in keys}


def _teacher(network: TrainedNetwork, classes: Sequence[str]) -> Teacher:
    """Builds the static part of a run's networks, for a student of these classes."""
    missing = [name for name in classes if name not in network.classes]
    if missing:
        raise UserError(
            f'{_OPTION}: the networks of {network.run} do not know {missing[0]}: they know '
            f'{", ".join(network.classes)}'
        )
    columns = tuple(network.classes.index(name) for name in classes)
    return Teacher(network.system.model, network.system.inputs, columns)
