"""The ways in which members learn: a network in steps, or a classifier at once (`classifiers`)."""

import dataclasses
import functools
import pkgutil
import typing
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax

from fer_jax import models
from fer_jax.config import bind
from fer_jax.data import fitted
from fer_jax.data.clips import ClipSet
from fer_jax.data.protocols import Protocol
from fer_jax.data.views import Views
from fer_jax.errors import UserError
from fer_jax.experiment import classifiers
from fer_jax.experiment.clips import ClipSource
from fer_jax.experiment.features import FeatureSource
from fer_jax.experiment.network_sections import (
    Augment,
    Distill,
    Init,
    Inputs,
    Loss,
    Optimizer,
    Training,
)
from fer_jax.experiment.records import Record
from fer_jax.training import loop, transfer
from fer_jax.training.members import Member, Recipe, make_members, per_member
from fer_jax.training.optimizers import evaluated_weights, make_optimizer
from fer_jax.training.state import Resident, Sums, TrainState
from fer_jax.training.step import System

if TYPE_CHECKING:
    from fer_jax.experiment.distillation import Distillation

# Imported where a config's section `distill` names runs: it opens them, and what opens a run knows
# learners.
TEACHING = 'fer_jax.experiment.distillation:Distillation'
# Keys of section `inputs` with their values where members learn from features.
_OF_FEATURES = {'normalize': 'none', 'equalize': 'none', 'crop': 0, 'channels': 1}


class Learner(typing.Protocol):
    """The way in which members learn, as a config's sections say it.

    Attributes:
      epochs: of a member, at most.
      seeds: members of a fold.
      retrain: whether members are trained again on their training and validation clips together.
      patience: epochs without a better one by its validation clips until a member ends; 0: it does
        not end by them.
      equalize: how pictures are equalised before they are learned from.
    """

    @property
    def epochs(self) -> int: ...

    @property
    def seeds(self) -> int: ...

    @property
    def retrain(self) -> bool: ...

    @property
    def patience(self) -> int: ...

    @property
    def equalize(self) -> str: ...

    def with_teachers(self, clip_source: ClipSource, classes: Sequence[str]) -> 'Learner':
        """Returns the learner with the networks that teach its members opened, if any do.

        Args:
          clip_source: of the clips that its members learn from.
          classes: of these clips.

        Raises:
          UserError: there is no such network, or it cannot teach them.
        """
        ...

    def check_source(self, source: FeatureSource | None, clips: ClipSet) -> None:
        """Refuses (UserError) what members cannot learn from.

        Args:
          source: of features; None for pictures.
          clips: as they were loaded.
        """
        ...

    def members(
        self, protocol: Protocol, clips: ClipSet, *, fold: int, seeds: Sequence[int]
    ) -> list[Member]:
        """Makes the members of a fold (-1: of all), fits what they need on their training clips.

        Args:
          clips: registered and equalised; or as they were loaded, where members learn features.
          seeds: of the members of a fold.
        """
        ...

    def views(self, member: Member, clips: ClipSet) -> tuple[str, Views]:
        """Returns how a member's training views are made, and those of its first epoch."""
        ...

    def dry_run(self, members: Sequence[Member], clips: ClipSet) -> None:
        """Refuses (UserError) what does not fit together, before anything is computed or written.

        Args:
          clips: as training sees them.
        """
        ...

    def start(self, members: Sequence[Member], clips: ClipSet) -> list[Member]:
        """Gives members the networks that they start from or learn from, where there are any."""
        ...

    def origin(self, members: Sequence[Member], clips: ClipSet) -> dict[str, Any]:
        """Returns what dataset.json says of what started members start and learn from.

        Args:
          members: all that train, those that train first before the others.
          clips: as the first of them sees them.

        Returns:
          {} where they start anew and nothing teaches them.
        """
        ...

    def train(
        self,
        members: Sequence[Member],
        clips: ClipSet,
        folder: Path,
        *,
        on_epoch: Callable[[Record], None],
        on_members_done: Callable[[Sequence[Record]], None],
    ) -> list[Record]:
        """Trains members that learn from the same clips, as `loop.train` does."""
        ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class NetworkLearner:
    """Networks that are trained in steps. A `Learner`.

    Attributes:
      name: of the architecture.
      options: its fields.
      inputs, augment, loss, optimizer, init, distill: sections of the config.
      recipe: how batches come from clips.
      training: epochs, networks of a fold, execution.
      teaching: the networks that `distill` names, once they are read (`with_teachers`).
    """

    name: str
    options: Mapping[str, Any]
    inputs: Inputs
    augment: Augment
    recipe: Recipe
    loss: Loss
    optimizer: Optimizer
    training: Training
    init: Init
    distill: Distill
    teaching: 'Distillation | None' = None

    @classmethod
    def open(cls, config: Mapping[str, Any]) -> 'NetworkLearner':
        """Opens a complete config's sections; UserError for a key or a value that is none."""
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
            augment=augment,
            recipe=Recipe(augment.kind, augment.options, training.batch_size),
            loss=bind(Loss, config['loss'], 'loss'),
            optimizer=Optimizer(rate, {**optimizer, 'epochs': epochs}),
            training=training,
            init=bind(Init, config['init'], 'init'),
            distill=bind(Distill, config['distill'], 'distill'),
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
    def patience(self) -> int:
        """As of `Learner`."""
        return self.training.patience

    @property
    def equalize(self) -> str:
        """As of `Learner`."""
        return self.inputs.equalize

    @property
    def dropout_rate(self) -> float:
        """Of the model; 0 where it has none."""
        return self.options.get('dropout_rate', 0.0)

    def with_teachers(self, clip_source: ClipSource, classes: Sequence[str]) -> 'NetworkLearner':
        """As of `Learner`: the networks are of the runs that the section `distill` names."""
        if not self.distill.runs:
            return self
        opened: Distillation = pkgutil.resolve_name(TEACHING).open(self, clip_source, classes)
        return dataclasses.replace(self, teaching=opened)

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
            targets=self.loss.targets,
            erase=self.augment.erase,
            mixup=self.augment.mixup,
            teachers=self.teaching.teachers if self.teaching else (),
            teachers_share=self.teaching.share if self.teaching else 1.0,
        )

    def check_source(self, source: FeatureSource | None, clips: ClipSet) -> None:
        """As of `Learner`."""
        if not source and self.inputs.normalize == 'none':
            raise UserError(
                "inputs.normalize is 'none', which is for features: pictures would be neither "
                'warped nor cropped, give unit for grey levels from 0 to 1'
            )
        if source:
            self._check_features()

    def _check_features(self) -> None:
        """Refuses (UserError) keys that are of pictures, for members that learn from features."""
        kind, erase = self.recipe.kind, self.augment.erase
        for key, as_they_are in _OF_FEATURES.items():
            if (value := getattr(self.inputs, key)) != as_they_are:
                said = f'inputs.{key} is {value!r}: features are taken as they are'
                raise UserError(f'{said}, give {as_they_are}')
        if self.distill.runs:
            raise UserError('distill.runs: its networks see pictures, these features: leave it out')
        if kind != 'none':
            raise UserError(f"augment.kind is '{kind}': features cannot be warped, give none")
        if erase:
            raise UserError(f'augment.erase is {erase}: features have no rectangles, give 0')
        if self.inputs.mirrored:
            raise UserError('inputs.mirrored is True: features have no mirror image, give False')

    def members(
        self, protocol: Protocol, clips: ClipSet, *, fold: int, seeds: Sequence[int]
    ) -> list[Member]:
        """As of `Learner`."""
        by_views = self.loss.weigh_views
        if by_views and not self.loss.class_weights:
            raise UserError('loss.weigh_views is True: set loss.class_weights too, or leave it out')
        if self.loss.l2 and not self.loss.l2_layers:
            raise UserError(
                f'loss.l2 is {self.loss.l2} of no layers: name them in loss.l2_layers, or give 0'
            )
        members = make_members(
            protocol,
            clips,
            seeds=seeds,
            fold=fold,
            learning_rate=self.optimizer.learning_rate,
            dropout_rate=self.dropout_rate,
            class_weights=self.loss.class_weights and not by_views,
            mean_std=self.inputs.normalize == 'mean_std',
        )
        return [self._weighed(member, clips) for member in members] if by_views else members

    def _weighed(self, member: Member, clips: ClipSet) -> Member:
        """Gives a member class weights by the frequency of its views of training clips."""
        seen = self.recipe.views(member, clips, 1).clip
        fit = fitted.class_weights(clips.label, seen, len(clips.classes))
        fit = dataclasses.replace(fit, clips=member.fold.train)
        return dataclasses.replace(member, class_weight=fit.value, fits=(*member.fits, fit))

    def views(self, member: Member, clips: ClipSet) -> tuple[str, Views]:
        """As of `Learner`."""
        return self.recipe.kind, self.recipe.views(member, clips, 1)

    def dry_run(self, members: Sequence[Member], clips: ClipSet) -> None:
        """As of `Learner`: traces a step of the first member without computing it."""
        system, resident, own, state = self._shapes(self._give_teachers(members[:1], clips), clips)
        batches = self.recipe.batches(members[:1], clips, 1, [True])
        batch = jax.tree.map(lambda x: x[0, 0], batches)
        jax.eval_shape(system.train_step, state, Sums.zero(), own, resident, batch)

    def start(self, members: Sequence[Member], clips: ClipSet) -> list[Member]:
        """As of `Learner`; UserError for a run that is not there or has seen test clips."""
        started = members
        if self._initial_run:
            same = tuple(self._initial_run.classes) == clips.classes
            head = () if same else self._head(members, clips)
            started = self._initial_run.start(members, clips, without=head)
        return self._give_teachers(started, clips)

    def origin(self, members: Sequence[Member], clips: ClipSet) -> dict[str, Any]:
        """As of `Learner`; UserError for a network of another shape."""
        chain = None
        if self._initial_run:
            *_, state = self._shapes(members, clips)
            started = members[0].start
            assert started is not None
            fresh = transfer.fresh(state.params, started)
            chain = {**self._initial_run.chain, 'fresh': fresh}
        transfer.check_frozen(self.system(len(clips.classes)).frozen, chain)
        origin: dict[str, Any] = {'starts_from': chain} if chain else {}
        if self.teaching:
            origin['taught_by'] = self.teaching.chain(members, clips)
        return origin

    def train(
        self,
        members: Sequence[Member],
        clips: ClipSet,
        folder: Path,
        *,
        on_epoch: Callable[[Record], None],
        on_members_done: Callable[[Sequence[Record]], None],
    ) -> list[Record]:
        """As of `Learner`."""
        records = loop.train(
            self.system(len(clips.classes)),
            members,
            clips,
            self.recipe,
            self.training,
            folder,
            on_epoch=on_epoch,
            on_members_done=on_members_done,
        )
        return [*records]

    @functools.cached_property
    def _initial_run(self) -> transfer.Source | None:
        return transfer.Source.open(self.init.run) if self.init.run else None

    def _give_teachers(self, members: Sequence[Member], clips: ClipSet) -> list[Member]:
        """Gives members the networks that teach them, where any do."""
        return self.teaching.teach(members, clips) if self.teaching else list(members)

    def _head(self, members: Sequence[Member], clips: ClipSet) -> list[str]:
        """Lists the parameters whose shape the number of classes decides, e.g. 'fc2/kernel'."""
        *_, own = self._shapes(members, clips)
        *_, other = self._shapes(members, clips, more=1)
        return transfer.fresh(other.params, {'params': evaluated_weights(own.params)})

    def _shapes(self, members: Sequence[Member], clips: ClipSet, more: int = 0) -> tuple:
        """Returns system, resident data, the first member's values and the shapes of its state.

        Args:
          more: classes besides those of the clips.
        """
        system = self.system(len(clips.classes) + more)
        resident = Resident.of(clips)
        own = jax.tree.map(lambda x: x[0], per_member(members[:1], [1]))
        state: TrainState = jax.eval_shape(system.init, own, resident)
        return system, resident, own, state


def open_learner(config: Mapping[str, Any]) -> Learner:
    """Opens the sections of a complete config by which members learn.

    Raises:
      UserError: as of `NetworkLearner.open` and of `classifiers.make`.
    """
    options = dict(config['model'])
    name = options.pop('name')
    if name in classifiers.CLASSIFIERS:
        return classifiers.ClassifierLearner(classifiers.make(name, options))
    return NetworkLearner.open(config)
