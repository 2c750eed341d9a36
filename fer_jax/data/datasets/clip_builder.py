"""The TFDS builder that all datasets share: a record is one clip of face frames.

A dataset adds one package with one `Builder`: its class names, its published counts, `scan` (which
clips there are) and `read` (one clip's frames and faces). Storage needs no TensorFlow: array_record
files, arrays as raw bytes. A BuilderConfig is one way of finding faces ('faces-release': the boxes,
landmarks or cut faces that ship with the dataset), so that two ways never mix.
"""

import abc
import collections
import concurrent.futures
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds
from tensorflow_datasets.core import writer as tfds_writer
from tensorflow_datasets.proto import tf_example_pb2
from tqdm import tqdm

from fer_jax.data.datasets import records
from fer_jax.errors import UserError

SPLIT = 'clips'  # the one TFDS split; the owners' parts are a field of the record


class ClipBuilder(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """Reads one dataset's release into records of clips.

    A record holds: `clip_id`, `label` (class name in the first label set) and `label_<set>` for
    further sets ('' where that set drops the clip), `subject`, `split`, `path` (in the release);
    `frames` uint8 [T, S, S, C] (C 1 for grey, 3 for RGB), `box` float32 [T, 4] (left, top, right,
    bottom edges in pixels of the crop), `has_face` bool [T] and, with LANDMARKS, `landmarks`
    float32 [T, 68, 2] in pixels of the crop; NaN where there is none. TFDS stores records in the
    order of their keys' hashes.
    """

    VERSION = tfds.core.Version('1.0.0')
    BUILDER_CONFIGS = [
        tfds.core.BuilderConfig(
            name='faces-release', description='Faces as they ship with the release.'
        )
    ]

    # What a dataset states about itself.
    DESCRIPTION: str
    HOMEPAGE: str
    CITATION: str
    LABEL_SETS: dict[str, tuple[str, ...]]  # the first one is `label`
    PUBLISHED_CLASSES: dict[str, int]  # of the first label set, over all splits
    PUBLISHED_SPLITS: dict[str, int] = {}
    PUBLISHED_SUBJECTS: int | None = None
    LANDMARKS: bool  # are there landmarks with the faces
    STORED_MARGIN = records.STORED_MARGIN  # how far the stored frames reach around the face box
    OPTIONS: tuple[str, ...] = ()  # what `scan` takes besides the folder

    manifest: records.Manifest | None = None  # set by `open`

    @abc.abstractmethod
    def scan(self, release: Path, **options) -> records.Manifest:
        """Lists the clips of a release with their labels; reads no picture, raises UserError."""

    @abc.abstractmethod
    def read(
        self, source: records.ClipSource, pool: concurrent.futures.Executor
    ) -> tuple[list[np.ndarray], records.Faces]:
        """One clip's frames uint8 [H, W, C] and its faces in their pixels; raises UserError."""

    def record(
        self, source: records.ClipSource, pool: concurrent.futures.Executor
    ) -> dict[str, np.ndarray]:
        """One clip's stored arrays: what `read` gives, cut to the face."""
        return records.cropped(*self.read(source, pool))

    def open(self, release: str | Path, **options) -> records.Manifest:
        """Scans a release and keeps the manifest for the preparation that follows."""
        self.manifest = self.scan(Path(release).expanduser(), **options)
        if not self.manifest.clips:
            raise UserError(f'{release}: no labelled clip found; is the release complete?')
        return self.manifest

    def _info(self) -> tfds.core.DatasetInfo:
        raw = tfds.features.Encoding.BYTES
        text = ('clip_id', 'label', *self._further_labels(), 'subject', 'split', 'path')
        features = {name: tfds.features.Text() for name in text} | {
            'frames': tfds.features.Tensor(shape=(None,) * 4, dtype=np.uint8, encoding=raw),
            'box': tfds.features.Tensor(shape=(None, 4), dtype=np.float32, encoding=raw),
            'has_face': tfds.features.Tensor(shape=(None,), dtype=np.bool_, encoding=raw),
        }
        if self.LANDMARKS:
            features['landmarks'] = tfds.features.Tensor(
                shape=(None, 68, 2), dtype=np.float32, encoding=raw
            )
        return _LocalInfo(
            builder=self,
            description=self.DESCRIPTION,
            features=tfds.features.FeaturesDict(features),
            homepage=self.HOMEPAGE,
            citation=self.CITATION,
            metadata=tfds.core.MetadataDict(),
        )

    def _further_labels(self) -> dict[str, str]:
        """Feature name -> label set, for all label sets but the first."""
        return {f'label_{name}': name for name in list(self.LABEL_SETS)[1:]}

    def _split_generators(self, dl_manager: tfds.download.DownloadManager):
        if self.manifest is None:
            self.open(Path(dl_manager.manual_dir))
        return {SPLIT: self._generate_examples()}

    def _generate_examples(self) -> Iterator[tuple[str, dict]]:
        clips = self.manifest.clips
        faceless, frames = [], 0
        bar = tqdm(clips, desc=f'preparing {self.name}', unit=' clips', disable=None)
        with concurrent.futures.ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
            for source in bar:
                record = self.record(source, pool)
                if not record['has_face'].any():
                    faceless.append(source.clip_id)
                frames += len(record['frames'])
                if not self.LANDMARKS:
                    del record['landmarks']
                further = {
                    feature: source.other_labels.get(name, '')
                    for feature, name in self._further_labels().items()
                }
                yield (
                    source.clip_id,
                    {
                        'clip_id': source.clip_id,
                        'label': source.label,
                        **further,
                        'subject': source.subject,
                        'split': source.split,
                        'path': source.path,
                        **record,
                    },
                )
        # Stored as metadata.json in the same folder and at the same moment as the records.
        self.info.metadata.update(self._description(), frames=frames, faceless=faceless)

    def _description(self) -> dict:
        """What is stored beside the records: counts, what was dropped, and from where."""
        clips = self.manifest.clips
        counts = {}
        for name in self.manifest.label_sets:
            first = name == next(iter(self.LABEL_SETS))
            found = collections.Counter(
                clip.label if first else clip.other_labels.get(name, '') for clip in clips
            )
            counts[name] = {label: found[label] for label in self.LABEL_SETS[name]}
        splits = collections.Counter(clip.split for clip in clips if clip.split)
        return {
            'dataset': self.name,
            'faces': self.builder_config.name,
            'simulated': self.manifest.simulated,
            'fingerprint': self.manifest.fingerprint,
            'stored_margin': self.STORED_MARGIN,
            'clips': len(clips),
            'subjects': len({clip.subject for clip in clips} - {''}),
            'splits': dict(splits),
            'label_sets': {name: list(self.LABEL_SETS[name]) for name in counts},
            'class_counts': counts,
            'dropped': self.manifest.dropped,
            'differences': self._differences(
                counts, splits, {clip.subject for clip in clips} - {''}
            ),
        }

    def _differences(self, counts: dict, splits: dict, subjects: set[str]) -> list[str]:
        """Where the counts are not the published ones, in words."""
        label_set = next(iter(self.LABEL_SETS))
        lines = [
            f'{what} {name}: {found.get(name, 0):,} of {published:,} published'
            for what, found, wanted in (
                ('class', counts[label_set], self.PUBLISHED_CLASSES),
                ('split', splits, self.PUBLISHED_SPLITS),
            )
            for name, published in wanted.items()
            if found.get(name, 0) != published
        ]
        if self.PUBLISHED_SUBJECTS is not None and len(subjects) != self.PUBLISHED_SUBJECTS:
            lines.append(f'subjects: {len(subjects)} of {self.PUBLISHED_SUBJECTS} published')
        return lines

    def _example_writer(self) -> tfds_writer.ExampleWriter:
        return _RepeatableWriter(file_format=self.info.file_format)


class _LocalInfo(tfds.core.DatasetInfo):
    def initialize_from_bucket(self):
        """Nothing: TFDS would look for these datasets in a bucket of its own."""


def decode(
    data: bytes, features: dict[str, tfds.features.FeatureConnector]
) -> dict[str, str | np.ndarray]:
    """One stored record as text and read-only arrays.

    What TFDS's `features.deserialize_example_np` gives, six times as fast: with the 35,887 records
    of FER2013 TFDS's own decoding takes most of the time of loading.
    """
    stored = tf_example_pb2.Example.FromString(data).features.feature
    record = {}
    for name, feature in features.items():
        if isinstance(feature, tfds.features.Text):
            record[name] = stored[name].bytes_list.value[0].decode()
        elif name in stored:
            raw = np.frombuffer(stored[name].bytes_list.value[0], feature.np_dtype)
            record[name] = raw.reshape([-1 if side is None else side for side in feature.shape])
        else:  # more than one free axis: the shape is stored too
            raw = np.frombuffer(stored[f'{name}/value'].bytes_list.value[0], feature.np_dtype)
            record[name] = raw.reshape(stored[f'{name}/shape'].int64_list.value)
    return record


class _RepeatableWriter(tfds_writer.ExampleWriter):
    """Writes a record's fields in one order, so that two preparations give the same bytes."""

    def write(self, path, examples):
        parse = tf_example_pb2.Example.FromString
        return super().write(
            path,
            ((key, parse(data).SerializeToString(deterministic=True)) for key, data in examples),
        )
