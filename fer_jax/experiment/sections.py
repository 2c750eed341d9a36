"""A config opened: each of its sections as the typed piece that works with it."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fer_jax.config import bind, complete, tuples
from fer_jax.data import fold_file, protocols
from fer_jax.data.clips import ClipSet
from fer_jax.data.protocols import Protocol
from fer_jax.errors import UserError
from fer_jax.experiment import features, learners
from fer_jax.experiment.clips import ClipSource
from fer_jax.experiment.features import FeatureSource
from fer_jax.experiment.learners import Learner, NetworkLearner


@dataclasses.dataclass(frozen=True)
class ProtocolSpec:
    """The division of clips into folds: section `protocol` of a config.

    Attributes:
      options: keywords of `protocols.make_protocol`, where there is no file.
      fold: the number of the one fold that is trained, from 0; -1 for all.
      file: folds of this file instead; '' for the rule that `options` name.
      sha256: of the file's content; '' for any.
      inner: what chooses is tested in their place, and their test clips are left out (the trials of
        a search).
    """

    options: Mapping[str, Any]
    fold: int
    file: str
    sha256: str
    inner: bool

    @classmethod
    def open(cls, section: Mapping[str, Any]) -> 'ProtocolSpec':
        """Opens the section; what `protocols.make_protocol` does not take, `make` refuses."""
        options = dict(section)
        fold, file, inner = (options.pop(key) for key in ('fold', 'file', 'inner'))
        return cls(options, fold, file, options.pop('sha256', ''), inner)

    def make(self, clips: ClipSet) -> Protocol:
        """Divides clips; UserError for an unknown key, rule or file, or one that does not fit."""
        if self.file:
            protocol = fold_file.read(self.file, clips, self.sha256)
        else:
            protocol = bind(protocols.make_protocol, self.options, 'protocol', clips)
        return protocol.inner() if self.inner else protocol


@dataclasses.dataclass(frozen=True)
class Sections:
    """A config, opened: what it says, without the config.

    Attributes:
      name: of the config.
      seed: the first one of its members.
      clips: where clips come from.
      protocol: how they are divided.
      learner: how members learn.
      stamps: what must be known before a number of this config is believed.
      section: the one of `features.SOURCES` that makes the features to learn from; '' for pictures.
      options: what that section says.
    """

    name: str
    seed: int
    clips: ClipSource
    protocol: ProtocolSpec
    learner: Learner
    stamps: tuple[str, ...] = ()
    section: str = ''
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @classmethod
    def open(cls, config: Mapping[str, Any]) -> 'Sections':
        """Opens a config, or what config.json holds of one; a key that it lacks is neutral.

        Raises:
          UserError: as `config.complete`, or a value out of range.
        """
        plain = tuples(complete(config).to_dict())
        section = features.section_of(plain)
        source = features.source_class(section) if section else None
        needs = {'sounds': source.sounds, 'scenes': source.scenes} if source else {}
        return cls(
            name=plain['name'],
            seed=plain['seed'],
            clips=ClipSource.open(plain, **needs),
            protocol=ProtocolSpec.open(plain['protocol']),
            learner=learners.open_learner(plain),
            stamps=plain['stamps'],
            section=section,
            options=plain[section] if section else {},
        )

    @property
    def seeds(self) -> range:
        """Of the members of a fold."""
        return range(self.seed, self.seed + self.learner.seeds)

    @property
    def network(self) -> NetworkLearner:
        """The learner, where it is a network; UserError where members are fitted at once."""
        if not isinstance(self.learner, NetworkLearner):
            raise UserError(
                f'{self.name} is no network that trains in steps: its members are fitted at once'
            )
        return self.learner

    def feature_source(self, data_dir: Path) -> FeatureSource | None:
        """Opens what makes the features to learn from; None where members learn from pictures.

        Raises:
          UserError: as of `FeatureSource.open`.
        """
        if not self.section:
            return None
        return features.source_class(self.section).open(self.options, self.clips, data_dir)
