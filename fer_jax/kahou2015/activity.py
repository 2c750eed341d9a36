"""Activity in whole scenes (kahou2015, sec. 4): bags of words of learned local motion."""

import dataclasses
import hashlib
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tqdm

from fer_jax import atomic
from fer_jax.config import bind
from fer_jax.data import datasets, leaks, prepared
from fer_jax.data.clips import ClipSet
from fer_jax.data.fitted import Fitted
from fer_jax.data.protocols import Fold, shorten
from fer_jax.errors import UserError
from fer_jax.experiment.clips import ClipSource
from fer_jax.kahou2015 import blocks, synchrony, words
from fer_jax.training.members import Member

FITTED = 'activity'  # the name of what was fitted, among a member's `fits`
# Of the files that keep what was fitted: higher whenever the same options give other numbers.
_VERSION = 1


@dataclasses.dataclass(frozen=True)
class Vocabulary:
    """Turns a scene into a histogram; fitted on training clips.

    Attributes:
      contrast: of training blocks (`blocks.normalise`).
      mean: float32 [blocks.VALUES], of normalised blocks.
      matrix: float32 [blocks.VALUES, factor]: scaling, whitening and filters in one; the factors
        are (normalised - mean) @ matrix.
      words: float32 [word, factor], centres of what `activations` gives.
      patterns: float32 [factor, blocks.VALUES]: the block that drives each factor, which is its
        filter without the whitening.
    """

    contrast: np.ndarray
    mean: np.ndarray
    matrix: np.ndarray
    words: np.ndarray
    patterns: np.ndarray

    def activations(self, cut: np.ndarray) -> np.ndarray:
        """Computes the synchrony of blocks uint8 [block, blocks.VALUES]: float32 [block, factor].

        That is (h - 0.5) / 0.5 = tanh(F^2 / 2) of h = sigmoid(F^2), which says the same as h and
        keeps its digits where F is small.
        """
        factors = (blocks.normalise(cut, float(self.contrast)) - self.mean) @ self.matrix
        return np.tanh(factors**2 / 2)

    def histogram(self, frames: np.ndarray, weighted: bool) -> np.ndarray:
        """Computes the share of each word in a scene uint8 [T, H, W]: float64 [word].

        Args:
          weighted: a block counts as much as its mean activation, so that a still one counts little
            (the authors' code); otherwise all count the same (the paper's words).
        """
        seen = self.activations(blocks.cut(frames))
        weight = seen.mean(1, dtype=np.float64) if weighted else np.ones(len(seen))
        return words.histogram(words.nearest(seen, self.words), weight, len(self.words))


@dataclasses.dataclass(frozen=True)
class Activity:
    """Describes clips by the motion in their scenes: members learn from it instead of from faces.

    A `FeatureSource`.

    Attributes:
      folder, name: where the prepared scenes lie.
      blocks: at most so many are fitted on, the same number of each training clip.
      variance: the share of it that the whitening of blocks keeps.
      factors: of the autoencoder.
      contraction: lambda, the weight of the Jacobian in its loss.
      epochs, batch_size, learning_rate: of its training.
      words: of the vocabulary.
      weighted: whether blocks count by how active they are (`Vocabulary.histogram`).
      seed: of the blocks, filters and words.
    """

    folder: Path
    name: str
    _: dataclasses.KW_ONLY
    blocks: int
    variance: float
    factors: int
    contraction: float
    epochs: int
    batch_size: int
    learning_rate: float
    words: int
    weighted: bool
    seed: int

    key = 'activity'
    sounds = False
    scenes = True
    classes = ()  # nothing was trained to know any

    def __post_init__(self):
        if self.words > self.blocks:
            raise UserError(
                f'activity.words is {self.words}, activity.blocks {self.blocks}: words are means '
                'of blocks, give fewer words'
            )

    @classmethod
    def open(cls, section: Mapping[str, Any], clips: ClipSource, data_dir: Path) -> 'Activity':
        """Implements `FeatureSource`."""
        return bind(cls, section, 'activity', clips.ensure_prepared(data_dir), clips.name)

    def groups(
        self, members: Sequence[Member], clips: ClipSet
    ) -> list[tuple[list[Member], ClipSet]]:
        """Makes each fold's members, with clips as the vocabulary of its training clips has them.

        Returns:
          Members, in their order, whose `fits` hold the vocabulary's arrays, named FITTED; and
          clips of one frame whose frames are histograms float32 [clip, 1, word].
        """
        found = []
        for number in dict.fromkeys(member.fold_number for member in members):
            own = [member for member in members if member.fold_number == number]
            fit, histograms = self._fit(own[0].fold, clips)
            seen = dataclasses.replace(
                clips,
                frames=histograms[:, None],
                length=np.ones_like(clips.length),
                landmarks=None,
            )
            found.append(([dataclasses.replace(m, fits=(*m.fits, fit)) for m in own], seen))
        return found

    def target_shape(
        self, fold: Fold, number: int, clips: ClipSet, loaded: ClipSource
    ) -> np.ndarray | None:
        """As of `FeatureSource`: none, no network saw faces."""
        return None

    def chain(self, members: Sequence[Member], clips: ClipSet) -> dict[str, Any]:
        """Describes where the features come from, for dataset.json."""
        size = f'{blocks.SIDE}x{blocks.SIDE}x{blocks.FRAMES}'
        return {
            'features': f'{self.words:,} words of {self.factors} factors, blocks of {size}',
            'fingerprint': self._fingerprint(),
        }

    def in_words(self, chain: Mapping[str, Any]) -> str:
        """Implements `FeatureSource`."""
        return f'activity in scenes: {chain["features"]}'

    def filters(self, member: Member) -> np.ndarray:
        """Returns the patterns of the member's factors, as `FeatureSource` asks."""
        (fit,) = (fit for fit in member.fits if fit.name == FITTED)
        patterns = Vocabulary(*fit.value).patterns
        return patterns.reshape(-1, blocks.FRAMES, blocks.SIDE, blocks.SIDE)

    def _fit(self, fold: Fold, clips: ClipSet) -> tuple[Fitted, np.ndarray]:
        """Learns a fold's vocabulary from its training clips: histograms float32 [clip, word].

        Both are kept beside the prepared data, in activity-<hash>.npz, with the histograms of all
        clips that are prepared: the file is named after the options, the training clips and the
        scenes, and runs that agree in these share it.
        """
        train = sorted(clips.clip_id[fold.train].tolist())
        options = dataclasses.asdict(self)
        del options['folder']
        said = [_VERSION, options, train, self._fingerprint()]
        digest = hashlib.sha256(json.dumps(said).encode()).hexdigest()[:16]
        path = (
            prepared.data_root(self.folder) / datasets.folder(self.name) / f'activity-{digest}.npz'
        )
        if not path.exists():
            vocabulary = self.fit(train)
            own = {
                clip_id: vocabulary.histogram(frames, self.weighted)
                for clip_id, frames in self._scenes('histograms of scenes')
            }
            with atomic.replacing(path) as temporary:
                np.savez(
                    temporary,
                    train=train,
                    clip_id=list(own),
                    histogram=np.stack(list(own.values())).astype(np.float32),
                    **dataclasses.asdict(vocabulary),
                )
        with np.load(path) as kept:
            value = tuple(kept[field.name] for field in dataclasses.fields(Vocabulary))
            row = {clip_id: index for index, clip_id in enumerate(kept['clip_id'].tolist())}
            missing = [clip_id for clip_id in clips.clip_id.tolist() if clip_id not in row]
            if missing:
                raise UserError(f'{len(missing)} clips have no scene: {shorten(missing)}')
            histograms = kept['histogram'][[row[clip_id] for clip_id in clips.clip_id.tolist()]]
            seen = np.flatnonzero(np.isin(clips.clip_id, kept['train']))
        fit = Fitted(FITTED, value, seen)
        leaks.check_fitted(fit, fold)
        return fit, histograms

    def fit(self, train: Collection[str]) -> Vocabulary:
        """Learns whitening, filters and words from the scenes of some clips, by id.

        In memory at once are a byte for each value of the chosen blocks and, while the filters
        learn, a float for each of their components, on the host and on the device: under 5 GB for
        200,000. Scenes pass one by one.

        Raises:
          UserError: fewer blocks than words, or the training diverged.
        """
        each = max(1, self.blocks // len(train))
        chosen = {}
        for clip_id, frames in self._scenes('blocks of training scenes'):
            if clip_id in train:
                found = blocks.cut(frames)
                purpose = int.from_bytes(hashlib.sha256(clip_id.encode()).digest()[:8])
                rng = np.random.default_rng([self.seed, purpose])  # whatever the stored order
                chosen[clip_id] = found[rng.permutation(len(found))[:each]]
        sample = np.concatenate([chosen[clip_id] for clip_id in sorted(chosen)])
        if len(sample) < self.words:
            raise UserError(
                f'activity.words is {self.words}: the {len(train)} training clips give '
                f'{len(sample)} blocks; give fewer words'
            )
        whitening = blocks.Whitening.fit(sample, self.variance)
        filters, _ = synchrony.train(
            whitening(sample),
            factors=self.factors,
            contraction=self.contraction,
            epochs=self.epochs,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            seed=self.seed,
        )
        vocabulary = Vocabulary(
            np.array(whitening.contrast),
            whitening.mean,
            whitening.matrix @ filters.T,
            np.empty((0, self.factors), np.float32),
            filters @ whitening.inverse,
        )
        seen = np.concatenate(
            [vocabulary.activations(sample[at : at + 4096]) for at in range(0, len(sample), 4096)]
        )
        return dataclasses.replace(vocabulary, words=words.fit(seen, self.words, self.seed))

    def _scenes(self, what: str) -> Iterator[tuple[str, np.ndarray]]:
        """Yields clip ids and frames uint8 [T, H, W] of all prepared scenes, showing progress."""
        scenes = prepared.scenes(self.name, data_dir=self.folder)
        for clip_id, frames in tqdm.tqdm(scenes, desc=what, unit=' clips', disable=None):
            if min(frames.shape[1:]) < blocks.SIDE:
                height, width = frames.shape[1:]
                raise UserError(
                    f'the scene of {clip_id} has {width}x{height} pixels: a block needs '
                    f'{blocks.SIDE}x{blocks.SIDE}'
                )
            yield clip_id, frames

    def _fingerprint(self) -> str:
        """Reads the fingerprint of the prepared scenes."""
        return prepared.describe(self.name, self.folder, datasets.SCENE)['fingerprint']
