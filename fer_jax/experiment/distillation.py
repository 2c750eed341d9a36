"""Learning from what finished runs say: their networks as teachers of another one's training.

Knowledge distillation (Hinton et al. 2015, arXiv 1503.02531) with the teachers' mean as target.
"""

import dataclasses
import pathlib
from collections.abc import Sequence
from typing import Any

from ml_collections import ConfigDict

from fer_jax.data.clips import ClipSet
from fer_jax.errors import UserError
from fer_jax.experiment.features import FirstStage
from fer_jax.training.members import Member
from fer_jax.training.teacher import Teacher

# What the frames of both runs must have in common: a teacher sees a view of the student's frames.
_SHARED = ('frames', 'sampling', 'size', 'channels', 'registration', 'margin', 'order')


@dataclasses.dataclass(frozen=True)
class Distillation:
    """The runs that a config's section `distill` names.

    Attributes:
      stages: the runs.
      share: of the teachers in a training target, above 0 to 1; what is left is the label's (or the
        votes').
      teachers: the static part of their networks, one a run.
    """

    stages: Sequence[FirstStage]
    share: float
    teachers: Sequence[Teacher]

    @classmethod
    def open(
        cls, config: ConfigDict, clips: ClipSet, data_dir: pathlib.Path
    ) -> 'Distillation | None':
        """Reads the runs but not their networks; None where the config names none.

        Args:
          config: with a section `distill`: runs, directories separated by commas, and share.
          clips: that the config's members learn from.

        Raises:
          UserError: no finished run, one of another geometry or of other classes, or a share out of
            range.
        """
        options = config.get('distill') or {}
        runs = [run.strip() for run in options.get('runs', '').split(',') if run.strip()]
        if not runs:
            return None
        share = options.get('share', 1.0)
        if not 0 < share <= 1:
            raise UserError(f'distill.share is {share}: give above 0 to 1')
        stages = [FirstStage.open(run, 'logits', data_dir, 'distill.runs') for run in runs]
        for stage in stages:
            _check(stage, config)
        return cls(stages, share, [_teacher(stage, clips.classes) for stage in stages])

    def teach(self, members: Sequence[Member], clips: ClipSet) -> list[Member]:
        """The members with the networks that they learn from, one of each run.

        Raises:
          UserError: every network of a run has seen test clips of a member.
        """
        made = {}

        def arrays(stage, network):
            key = stage.source.path, network
            if key not in made:
                mean, std = stage.statistics(network)
                made[key] = {**stage.source.network(network), 'mean': mean, 'std': std}
                made[key]['batch_stats'] = made[key]['batch_stats'] or {}
            return made[key]

        return [
            dataclasses.replace(
                member,
                teachers=tuple(
                    arrays(stage, stage.source.choose(member, clips)) for stage in self.stages
                ),
            )
            for member in members
        ]

    def chain(self, members: Sequence[Member], clips: ClipSet) -> list[dict[str, Any]]:
        """What dataset.json says of the runs, and which of their networks teach each member."""
        return [
            {
                **stage.source.chain,
                'share': self.share,
                'networks': [stage.source.choose(member, clips) for member in members],
            }
            for stage in self.stages
        ]


def _check(stage: FirstStage, config: ConfigDict) -> None:
    """Holds a run to it that its networks can see the views of the config's clips."""
    path = stage.source.path
    if 'train' not in stage.config or 'features' in stage.config:
        raise UserError(f'distill.runs: {path} is no run of a network that sees faces')
    for key in _SHARED:
        own, other = config.data.get(key), stage.config.data.get(key)
        if own != other:
            raise UserError(
                f'distill.runs: data.{key} of {path} is {other}, here it is {own}: train both on '
                'the same frames'
            )
    own, other = config.inputs.equalize, stage.config.inputs.equalize
    if own != other:
        raise UserError(f"distill.runs: inputs.equalize of {path} is '{other}', here '{own}'")


def _teacher(stage: FirstStage, classes: Sequence[str]) -> Teacher:
    """The static part of a run's networks, for a student of these classes."""
    missing = [name for name in classes if name not in stage.classes]
    if missing:
        raise UserError(
            f'distill.runs: the networks of {stage.source.path} do not know {missing[0]}: they '
            f'know {", ".join(stage.classes)}'
        )
    module, inputs = stage.module()
    return Teacher(module, inputs, tuple(stage.classes.index(name) for name in classes))
