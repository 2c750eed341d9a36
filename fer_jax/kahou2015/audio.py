"""Sound of clips (kahou2015, sec. 3): openSMILE's 1582 features, their principal components."""

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from fer_jax import atomic
from fer_jax.config import bind
from fer_jax.data import datasets, leaks, prepared
from fer_jax.data.clips import ClipSet
from fer_jax.data.fitted import Fitted
from fer_jax.data.progress import Progress
from fer_jax.data.protocols import Fold, shorten
from fer_jax.errors import UserError
from fer_jax.experiment.clips import ClipSource
from fer_jax.kahou2015 import audio_files
from fer_jax.training.members import Member

# Of the kinds of emobase2010, whose counts are the paper's; the package does not carry that one.
CONFIGURATION = 'core/config/is09-13/IS10_paraling_compat.conf'
# Shorter sound, under 0.07 s, has no value in openSMILE: silence is put behind it.
SHORTEST_S = 0.1


def extract(
    sound: Mapping[str, tuple[np.ndarray, int]],
) -> tuple[list[str], np.ndarray]:
    """Extracts openSMILE's features of each sound.

    Args:
      sound: {clip id: (int16 [samples], at least one; samples a second)}.

    Returns:
      Names of the features in ascending order, and float32 [clip, 1582].

    Raises:
      UserError: the package opensmile is not there.
    """
    opensmile = package()
    smile = opensmile.Smile(
        feature_set=str(Path(opensmile.__file__).parent / CONFIGURATION),
        feature_level='func',
    )
    order = np.argsort(smile.feature_names)
    out = np.empty((len(sound), len(order)), np.float32)
    short = []
    with Progress('features of sound', 'clips', len(sound)) as bar:
        for row, (clip_id, (samples, rate)) in zip(out, sound.items(), strict=True):
            least = round(SHORTEST_S * rate)
            if len(samples) < least:
                short.append(clip_id)
                samples = np.pad(samples, (0, least - len(samples)))
            # openSMILE takes 16 bits: what it gets are the samples again.
            found = smile.process_signal(samples.astype(np.float32) / 32768, rate)
            row[:] = found.to_numpy()[0, order]
            bar.step()
    if short:
        print(
            f'sound of {len(short)} clips is shorter than {SHORTEST_S} s, silence was put behind '
            f'it: {shorten(short)}',
            flush=True,
        )
    return [smile.feature_names[k] for k in order], out


def package() -> Any:
    """Imports the package opensmile where it is needed: it is an extra.

    Raises:
      UserError: it is not there.
    """
    try:
        import opensmile  # pyright: ignore[reportMissingImports]  # an extra
    except ImportError as error:
        raise UserError(
            "features of sound need the package opensmile: pip install 'fer_jax[audio]' (its "
            "licence allows research only), or give SMILExtract's as --config.sound.file=FILE.arff"
        ) from error
    return opensmile


def kept(sound: Mapping[str, tuple[np.ndarray, int]], folder: Path) -> tuple:
    """Reads from the folder what `extract` gave for the same sound before, or extracts it now.

    The file, sound-<hash>.npz, is named after samples, ids, openSMILE's version and configuration.
    """
    digest = hashlib.sha256(f'{package().__version__} {CONFIGURATION}'.encode())
    for clip_id, (samples, rate) in sound.items():
        digest.update(f'|{clip_id} {rate} {len(samples)}|'.encode())
        digest.update(np.ascontiguousarray(samples).data)
    path = folder / f'sound-{digest.hexdigest()[:16]}.npz'
    if not path.exists():
        names, values = extract(sound)
        with atomic.replacing(path) as temporary:
            np.savez(temporary, names=names, values=values)
    with np.load(path) as found:
        return found['names'].tolist(), found['values']


def fit_components(
    values: np.ndarray, indices: np.ndarray, components: int, whiten: bool = False
) -> Fitted:
    """Fits principal components of features scaled to mean 0 and deviation 1.

    Args:
      values: float [N, feature].
      indices: int [clip], the clips to fit on.
      components: K; those of the greatest variance come first. 0: the scaled features themselves.
      whiten: the components are scaled to deviation 1 too.

    Returns:
      A Fitted whose value is (mean, matrix), float64 [feature] and [feature, K]: the components are
      (values - mean) @ matrix, of mean 0 over the clips. Their variances (divided by n - 1) descend
      and add up to no more than the number of features; whitened, each is 1.

    Raises:
      UserError: more components than the clips span.
    """
    scaler = StandardScaler().fit(values[indices].astype(np.float64))
    if not components:
        scale = np.diag(1 / scaler.scale_)
        return Fitted('scale of sound', (scaler.mean_, scale), np.asarray(indices))
    scaled = scaler.transform(values[indices].astype(np.float64))
    most = np.linalg.matrix_rank(scaled)
    if not 0 < components <= most:
        raise UserError(
            f'sound.components is {components}: the {len(indices)} training clips give 1 to '
            f'{most}; 0 takes the features themselves'
        )
    pca = PCA(components, whiten=whiten, svd_solver='full').fit(scaled)
    turned = pca.components_.T / (np.sqrt(pca.explained_variance_) if whiten else 1)
    matrix = turned / scaler.scale_[:, None]
    return Fitted('principal components of sound', (scaler.mean_, matrix), np.asarray(indices))


def scale_speakers(values: np.ndarray, subject: np.ndarray) -> np.ndarray:
    """Scales each speaker's features to mean 0 and deviation 1 over that speaker's clips.

    Labels are not looked at, but the clips of a speaker who is tested are, all at once: whoever
    knows one clip of a stranger cannot do this.

    Args:
      values: float [clip, feature].
      subject: str [clip].

    Returns:
      float64 [clip, feature].

    Raises:
      UserError: clips that name no subject.
    """
    if (subject == '').any():
        raise UserError(
            f'sound.scale_speakers: {np.sum(subject == "")} clips name no subject; leave it False'
        )
    out = np.empty(values.shape)
    for name in np.unique(subject):
        own = subject == name
        out[own] = StandardScaler().fit_transform(values[own].astype(np.float64))
    return out


@dataclasses.dataclass(frozen=True)
class Sound:
    """Describes clips by their sound: members learn from it instead of from pictures.

    A `FeatureSource`.

    Attributes:
      folder, name, faces: where the prepared sound lies.
      file: SMILExtract's .arff or .csv, '' where openSMILE is to be run on the prepared sound.
      components: principal components, fitted on each fold's training clips; 0: the features
        themselves, scaled.
      whiten: as of `fit_components`.
      scale_speakers: features are scaled by speaker first (`scale_speakers`).
    """

    folder: Path
    name: str
    faces: str
    _: dataclasses.KW_ONLY
    file: str
    components: int
    whiten: bool
    scale_speakers: bool

    key = 'sound'
    sounds = True
    scenes = False
    classes = ()  # nothing was trained to know any

    @classmethod
    def open(cls, section: Mapping[str, Any], clips: ClipSource, data_dir: Path) -> 'Sound':
        """Implements `FeatureSource`."""
        folder = clips.ensure_prepared(data_dir)
        return bind(cls, section, 'sound', folder, clips.name, clips.faces)

    def features(self, clips: ClipSet) -> np.ndarray:
        """Returns the clips' features float32 [clip, feature], in ascending order of their names.

        Raises:
          UserError: clips without sound, a value that is no number, or what `audio_files.read` and
            `extract` refuse.
        """
        wanted = clips.clip_id.tolist()
        if self.file:
            names, values = audio_files.read(Path(self.file).expanduser(), wanted)
        else:
            sound = prepared.load_audio(self.name, data_dir=self.folder, faces=self.faces)
            silent = [clip for clip in wanted if not len(sound[clip][0])]
            if silent:
                raise UserError(
                    f'{len(silent)} clips have no sound: {shorten(silent)}; give '
                    '--config.data.drop_soundless=True'
                )
            place = prepared.data_root(self.folder) / datasets.folder(self.name)
            names, values = kept({clip: sound[clip] for clip in wanted}, place)
        wrong = np.argwhere(~np.isfinite(values))
        if len(wrong):
            clip, feature = wrong[0]
            raise UserError(f'the sound of {wanted[clip]} has no finite {names[feature]}')
        return values

    def groups(
        self, members: Sequence[Member], clips: ClipSet
    ) -> list[tuple[list[Member], ClipSet]]:
        """Makes each fold's members, with the clips as they hear them.

        Returns:
          Members, in their order, whose `fits` hold the components; and clips of one frame whose
          frames are components float32 [clip, 1, component].
        """
        values = self.features(clips)
        if self.scale_speakers:
            values = scale_speakers(values, clips.subject)
        found = []
        for number in dict.fromkeys(member.fold_number for member in members):
            own = [member for member in members if member.fold_number == number]
            fit = fit_components(values, own[0].fold.train, self.components, self.whiten)
            leaks.check_fitted(fit, own[0].fold)
            mean, matrix = fit.value
            heard = dataclasses.replace(
                clips,
                frames=((values - mean) @ matrix).astype(np.float32)[:, None],
                length=np.ones_like(clips.length),
                landmarks=None,
            )
            found.append(([dataclasses.replace(m, fits=(*m.fits, fit)) for m in own], heard))
        return found

    def target_shape(
        self, fold: Fold, number: int, clips: ClipSet, loaded: ClipSource
    ) -> np.ndarray | None:
        """As of `FeatureSource`: none, no network saw faces."""
        return None

    def chain(self, members: Sequence[Member], clips: ClipSet) -> dict[str, Any]:
        """Describes where the features come from, for dataset.json."""
        said = {
            'components': self.components,
            'whiten': self.whiten,
            'scale_speakers': self.scale_speakers,
        }
        if self.file:
            path = Path(self.file).expanduser()
            return said | {
                'features': path.name,
                'sha256': hashlib.sha256(path.read_bytes()).hexdigest(),
            }
        by = f'openSMILE {package().__version__}, {Path(CONFIGURATION).name}'
        return said | {'features': by}

    def in_words(self, chain: Mapping[str, Any]) -> str:
        """Implements `FeatureSource`."""
        count = chain['components']
        taken = f'{count} principal components' if count else 'all features, scaled,'
        if chain['whiten'] and count:
            taken = f'{count} whitened principal components'
        scaled = ', each speaker scaled by all of his or her clips, without labels'
        return f'{taken} of sound: {chain["features"]}{scaled * chain["scale_speakers"]}'

    def filters(self, member: Member) -> np.ndarray | None:
        """Returns None, as `FeatureSource` asks: components are no filters."""
        return None
