"""How members learn: a network in steps, or a classifier at once (`classifiers`)."""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import jax

from fer_jax import models
from fer_jax.config import bind
from fer_jax.data.clips import ClipSet
from fer_jax.data.protocols import Protocol as FoldProtocol
from fer_jax.data.views import Views
from fer_jax.errors import UserError
from fer_jax.experiment import classifiers
from fer_jax.experiment.features import FeatureSource
from fer_jax.training import loop, transfer
from fer_jax.training.members import Member, Recipe, make_members, per_member
from fer_jax.training.optimizers import make_optimizer
from fer_jax.training.record import MemberRecord
from fer_jax.training.state import Resident, Sums, TrainState
from fer_jax.training.step import System

# Sections that a config needs besides `model` where members learn in steps.
SECTIONS = ('inputs', 'augment', 'loss', 'optimizer', 'train')


class Learner(Protocol):
    """What a config's sections say of how its members learn.

    Attributes:
      epochs: of a member, at most.
      seeds: members of a fold.
      retrain: whether members are trained again on their training and validation clips together.
      equalize: how pictures are equalised before they are learned from.
    """

    @property
    def epochs(self) -> int: ...

    @property
    def seeds(self) -> int: ...

    @property
    def retrain(self) -> bool: ...

    @property
    def equalize(self) -> str: ...

    def check_source(self, source: FeatureSource | None, clips: ClipSet) -> None:
        """Refuses (UserError) what members cannot learn from.

        Args:
          source: of features; None for pictures.
          clips: as they were loaded.
        """

    def members(
        self, protocol: FoldProtocol, clips: ClipSet, *, fold: int, seeds: Sequence[int]
    ) -> list[Member]:
        """Makes the members of a fold (-1: of all), fits what they need on their training clips.

        Args:
          clips: registered and equalised; or as they were loaded, where members learn features.
          seeds: of the members of a fold.
        """

    def views(self, member: Member, clips: ClipSet) -> tuple[str, Views]:
        """Returns how a member's training views are made, and those of its first epoch."""

    def dry_run(self, members: Sequence[Member], clips: ClipSet) -> None:
        """Refuses (UserError) what does not fit together, before anything is computed or written.

        Args:
          clips: as training sees them.
        """

    def start(self, members: Sequence[Member], clips: ClipSet) -> list[Member]:
        """Gives members the networks that they start from, where they do not start anew."""

    def origin(self, members: Sequence[Member], clips: ClipSet) -> dict[str, Any]:
        """Returns what dataset.json says of where started members start from; {} for anew."""

    def train(
        self,
        members: Sequence[Member],
        clips: ClipSet,
        folder: Path,
        *,
        on_epoch: Callable[[MemberRecord], None],
        on_members_done: Callable[[Sequence[MemberRecord]], None],
    ) -> list[MemberRecord]:
        """Trains members that learn from the same clips, as `loop.train` does."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Inputs:
    """Section `inputs`: see `training.inputs` and, for `mirrored`, `System`."""

    normalize: str
    channels: int
    equalize: str = 'none'
    crop: int = 0
    mirrored: bool = False

    @property
    def of_model(self) -> dict[str, Any]:
        """Keywords of `model_inputs`."""
        return {'normalize': self.normalize, 'channels': self.channels, 'crop': self.crop}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Augment:
    """Section `augment`: see `training.members.Recipe`."""

    kind: str
    options: Mapping[str, Any]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Loss:
    """Section `loss`.

    Attributes:
      kind, label_smoothing: see `training.losses`.
      class_weights: whether classes weigh by their inverse frequency (`fitted.class_weights`).
      l2: weight of the penalty on the kernels of `l2_layers`.
    """

    kind: str = 'cross_entropy'
    label_smoothing: float = 0.0
    class_weights: bool = False
    l2: float = 0.0
    l2_layers: Sequence[str] = ()


@dataclasses.dataclass(frozen=True)
class Optimizer:
    """Section `optimizer`.

    Attributes:
      learning_rate: of its first step.
      options: the other keywords of `make_optimizer`.
    """

    learning_rate: float
    options: Mapping[str, Any]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Training(loop.Schedule):
    """Section `train`: how long and how, and besides

    Attributes:
      batch_size: rows of a step.
      seeds, retrain: as of `Learner`.
    """

    batch_size: int
    seeds: int = 1
    retrain: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class Init:
    """Section `init`.

    Attributes:
      run: a finished run whose networks members start from; '' where they start anew.
    """

    run: str = ''


@dataclasses.dataclass(frozen=True, kw_only=True)
class NetworkLearner:
    """Networks that are trained in steps. A `Learner`.

    Attributes:
      name: of the architecture.
      options: its fields.
      inputs, loss, optimizer, init: sections of the config.
      recipe: how batches come from clips.
      training: epochs, networks of a fold, execution.
    """

    name: str
    options: Mapping[str, Any]
    inputs: Inputs
    recipe: Recipe
    loss: Loss
    optimizer: Optimizer
    training: Training
    init: Init

    @classmethod
    def open(cls, config: Mapping[str, Any]) -> 'NetworkLearner':
        """Opens a config's sections.

        Raises:
          UserError: a section that is not there, an unknown key, or a value out of range.
        """
        missing = [section for section in SECTIONS if section not in config]
        if missing:
            raise UserError(
                f'the config has no section {missing[0]}: a network needs {", ".join(SECTIONS)}'
            )
        model, optimizer = dict(config['model']), dict(config['optimizer'])
        training = bind(Training, config['train'], 'train')
        augment = bind(Augment, config['augment'], 'augment')
        rate, epochs = optimizer.pop('learning_rate'), training.epochs
        # Refuses what the optimizer does not take, before there is anything to step.
        bind(make_optimizer, optimizer, 'optimizer', rate, 1.0, epochs=epochs, frozen=())
        return cls(
            name=model.pop('name'),
            options=model,
            inputs=bind(Inputs, config['inputs'], 'inputs'),
            recipe=Recipe(augment.kind, augment.options, training.batch_size),
            loss=bind(Loss, config['loss'], 'loss'),
            optimizer=Optimizer(rate, {**optimizer, 'epochs': epochs}),
            training=training,
            init=bind(Init, config.get('init', {}), 'init'),
        )

    @property
    def epochs(self) -> int:
        """As of `Learner`."""
        return self.training.epochs

    @property
    def seeds(self) -> int:
        """As of `Learner`."""
        return self.training.seeds

    @property
    def retrain(self) -> bool:
        """As of `Learner`."""
        return self.training.retrain

    @property
    def equalize(self) -> str:
        """As of `Learner`."""
        return self.inputs.equalize

    @property
    def dropout_rate(self) -> float:
        """Of the model; 0 where it has none."""
        return self.options.get('dropout_rate', 0.0)

    def system(self, num_classes: int) -> System:
        """Builds the static part of the run, the same for all members."""
        return System(
            models.build(self.name, num_classes=num_classes, **self.options),
            self.optimizer.options,
            inputs=self.inputs.of_model,
            mirrored=self.inputs.mirrored,
            loss=self.loss.kind,
            l2=self.loss.l2,
            l2_layers=tuple(self.loss.l2_layers),
            label_smoothing=self.loss.label_smoothing,
        )

    def check_source(self, source: FeatureSource | None, clips: ClipSet) -> None:
        """As of `Learner`."""
        if source and self.recipe.kind != 'none':
            raise UserError(
                f"augment.kind is '{self.recipe.kind}': features cannot be warped, give none"
            )

    def members(
        self, protocol: FoldProtocol, clips: ClipSet, *, fold: int, seeds: Sequence[int]
    ) -> list[Member]:
        """As of `Learner`."""
        return make_members(
            protocol,
            clips,
            seeds=seeds,
            fold=fold,
            learning_rate=self.optimizer.learning_rate,
            dropout_rate=self.dropout_rate,
            class_weights=self.loss.class_weights,
            mean_std=self.inputs.normalize == 'mean_std',
        )

    def views(self, member: Member, clips: ClipSet) -> tuple[str, Views]:
        """As of `Learner`."""
        return self.recipe.kind, self.recipe.views(member, clips, 1)

    def dry_run(self, members: Sequence[Member], clips: ClipSet) -> None:
        """As of `Learner`: traces a step of the first member without computing it."""
        system, resident, own, state = self._shapes(members, clips)
        batches = self.recipe.batches(members[:1], clips, 1, [True])
        batch = jax.tree.map(lambda x: x[0, 0], batches)
        jax.eval_shape(system.train_step, state, Sums.zero(), own, resident, batch)

    def start(self, members: Sequence[Member], clips: ClipSet) -> list[Member]:
        """As of `Learner`; UserError for a run that is not there or has seen test clips."""
        return self._source.start(members, clips) if self._source else list(members)

    def origin(self, members: Sequence[Member], clips: ClipSet) -> dict[str, Any]:
        """As of `Learner`; UserError for a network of another shape."""
        chain = None
        if self._source:
            *_, state = self._shapes(members, clips)
            fresh = transfer.fresh(state.params, members[0].start)
            chain = {**self._source.chain, 'fresh': fresh}
        transfer.check_frozen(self.system(len(clips.classes)).frozen, chain)
        return {'starts_from': chain} if chain else {}

    def train(
        self,
        members: Sequence[Member],
        clips: ClipSet,
        folder: Path,
        *,
        on_epoch: Callable[[MemberRecord], None],
        on_members_done: Callable[[Sequence[MemberRecord]], None],
    ) -> list[MemberRecord]:
        """As of `Learner`."""
        return loop.train(
            self.system(len(clips.classes)),
            members,
            clips,
            self.recipe,
            self.training,
            folder,
            on_epoch=on_epoch,
            on_members_done=on_members_done,
        )

    @functools.cached_property
    def _source(self) -> transfer.Source | None:
        return transfer.Source.open(self.init.run) if self.init.run else None

    def _shapes(self, members: Sequence[Member], clips: ClipSet) -> tuple:
        """System, resident data, the first member's values, and the shapes of its state."""
        system = self.system(len(clips.classes))
        resident = Resident(clips.frames, clips.length, clips.label)
        own = jax.tree.map(lambda x: x[0], per_member(members[:1], [1]))
        state: TrainState = jax.eval_shape(system.init, own, resident)
        return system, resident, own, state


def open_learner(config: Mapping[str, Any]) -> Learner:
    """Opens the sections by which members learn.

    Raises:
      UserError: `model.name` names nothing, or as of `NetworkLearner.open`.
    """
    options = dict(config['model'])
    name = options.pop('name')
    if name in classifiers.CLASSIFIERS:
        return classifiers.ClassifierLearner(classifiers.make(name, options))
    if name not in models.MODELS:
        known = ', '.join([*classifiers.CLASSIFIERS, *models.MODELS])
        raise UserError(f"model.name is '{name}': one of {known}")
    return NetworkLearner.open(config)
