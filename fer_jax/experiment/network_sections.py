"""The sections of a config that say how a network trains, typed."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from fer_jax.training import loop


@dataclasses.dataclass(frozen=True, kw_only=True)
class Inputs:
    """Section `inputs`: see `training.inputs` and, for `mirrored`, `System`."""

    normalize: str
    channels: int
    equalize: str
    crop: int
    mirrored: bool

    @property
    def of_model(self) -> dict[str, Any]:
        """Keywords of `model_inputs`."""
        return {'normalize': self.normalize, 'channels': self.channels, 'crop': self.crop}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Augment:
    """Section `augment`: see `training.members.Recipe`, and for `erase` and `mixup` `System`."""

    kind: str
    options: Mapping[str, Any]
    erase: float
    mixup: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Loss:
    """Section `loss`.

    Attributes:
      kind, label_smoothing: see `training.losses`.
      targets: what the loss compares with, see `System`.
      class_weights: whether classes weigh by their inverse frequency (`fitted.class_weights`).
      weigh_views: the frequency is that of the views of training clips, not of the clips.
      l2: weight of the penalty on the kernels of `l2_layers`.
    """

    kind: str
    targets: str
    label_smoothing: float
    class_weights: bool
    weigh_views: bool
    l2: float
    l2_layers: Sequence[str]


@dataclasses.dataclass(frozen=True)
class Optimizer:
    """Section `optimizer`.

    Attributes:
      learning_rate: the highest of the schedule: of the first step, or with `warmup` of the step at
        which the rise ends.
      options: the other keywords of `make_optimizer`.
    """

    learning_rate: float
    options: Mapping[str, Any]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Training(loop.Schedule):
    """Section `train`: how long and how, and besides

    Attributes:
      batch_size: rows of a step.
      seeds, retrain: as of `learners.Learner`.
    """

    batch_size: int
    seeds: int
    retrain: bool


@dataclasses.dataclass(frozen=True, kw_only=True)
class Init:
    """Section `init`.

    Attributes:
      run: a finished run whose networks members start from; '' where they start anew.
    """

    run: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Distill:
    """Section `distill`.

    Attributes:
      runs: finished runs whose networks teach, separated by commas; '' where none does.
      share: of the teachers in a training target, above 0 to 1; what is left is the label's (or the
        votes').
    """

    runs: str
    share: float
