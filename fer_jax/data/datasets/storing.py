"""Writes records to the disk: TFDS without TensorFlow, and without holding all of them in memory.

TFDS holds all records in memory until it knows their order, and from 1 GB on it needs TensorFlow
for it. So it gets them without pictures and sound, which wait in a file of their own until it
writes: one file of records, and the sizes in TFDS's own dataset_info.json are those without.
"""

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
from tensorflow_datasets.core import writer as tfds_writer
from tensorflow_datasets.proto import tf_example_pb2

_BULKY = ('frames', 'audio')


@contextlib.contextmanager
def spool(folder: Path) -> Iterator['Spool']:
    """Opens a spool in a file of `folder` that has no name: it goes with the process."""
    with tempfile.TemporaryFile(dir=folder) as file:
        yield Spool(file)


class Spool:
    """The bulky arrays of records, in a file."""

    def __init__(self, file: BinaryIO):
        self._file = file
        self._end = 0
        self._places: dict[str, dict[str, tuple[int, int, tuple[int, ...]]]] = {}

    def put(self, clip_id: str, record: dict) -> dict:
        """Keeps a record's bulky arrays; gives the record with empty ones in their place."""
        places, light = {}, dict(record)
        for name in _BULKY:
            if name in record:
                data = record[name].tobytes()
                places[name] = (self._end, len(data), record[name].shape)
                self._file.write(data)
                self._end += len(data)
                light[name] = np.zeros((0,) * record[name].ndim, record[name].dtype)
        self._places[clip_id] = places
        return light

    def fill(self, example: tf_example_pb2.Example) -> None:
        """Puts the bulky arrays into an encoded record, where TFDS would have put them."""
        stored = example.features.feature
        clip_id = stored['clip_id'].bytes_list.value[0].decode()
        for name, (start, length, shape) in self._places[clip_id].items():
            self._file.seek(start)
            whole = name in stored  # arrays of one free axis; others have their shape beside them
            value = stored[name if whole else f'{name}/value'].bytes_list.value
            value[0] = self._file.read(length)
            if not whole:
                stored[f'{name}/shape'].int64_list.value[:] = shape


class Writer(tfds_writer.ExampleWriter):
    """Writes whole records, their fields in one order: two preparations give the same bytes."""

    def __init__(self, spool: Spool, file_format):
        super().__init__(file_format=file_format)
        self._spool = spool

    def write(self, path, examples):
        return super().write(path, ((key, self._whole(data)) for key, data in examples))

    def _whole(self, data: bytes) -> bytes:
        example = tf_example_pb2.Example.FromString(data)
        self._spool.fill(example)
        return example.SerializeToString(deterministic=True)
