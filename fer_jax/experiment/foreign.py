"""Networks that others trained, as ONNX or TFLite files, for `judging` to compare with ours.

Nothing of a file is executed but its graph, and no other file is read than those in its folder.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import scipy

from fer_jax.data import checksums
from fer_jax.errors import UserError
from fer_jax.experiment.clips import ClipSource, Simulated

ENDINGS = ('.onnx', '.tflite')
# Clips that pass through a network of free batch at a time.
_BATCH = 64
# Kinds of numbers in which ONNX networks take faces.
_NUMBERS = {
    'tensor(float)': np.float32,
    'tensor(float16)': np.float16,
    'tensor(uint8)': np.uint8,
}
# Outputs that are in [0, 1] and sum to 1 within this are probabilities: of a network of whole
# numbers (TFLite) each may be off by half a level of 256.
_SUM = 0.05
# Faces that a network is tried on: a black one, and noise.
_TRIED = 8


@dataclasses.dataclass(frozen=True)
class ForeignNetwork:
    """A network that classifies single faces; it has what `judging` asks of a `Predictor`.

    Attributes:
      name: for people.
      path: its file.
      classes: what its outputs stand for.
      clips: how faces are cut out for it.
      scale: what black and white are for it.
      softmax: its outputs are made probabilities; what it says of faces tried on opening decides.
    """

    name: str
    path: Path
    classes: tuple[str, ...]
    clips: ClipSource
    scale: tuple[float, float]
    softmax: bool
    _run: Callable[[np.ndarray], np.ndarray] = dataclasses.field(repr=False)

    @classmethod
    def open(
        cls, path: Path, classes: Sequence[str], *, size: int, scale: tuple[float, float]
    ) -> 'ForeignNetwork':
        """Opens a file.

        Args:
          classes: in the order of its outputs.
          size: side in pixels of the faces that it sees; 0 takes what the file says.
          scale: what grey levels 0 and 255 become.

        Raises:
          UserError: no such file, one that is damaged, whose data lie elsewhere, or that does not
            map one face [row, column, 1 or 3] to the classes; or a package that is missing.
        """
        if not path.is_file():
            raise UserError(f'{path}: no such file')
        if len(set(classes)) != len(classes) or not all(classes) or len(classes) < 2:
            raise UserError(
                f'--classes={",".join(classes)}: name each output of {path.name} once, in order'
            )
        run, shape = (_onnx if path.suffix == '.onnx' else _tflite)(path)
        layout = _Layout.find(path, shape, size)
        one, found = _tried(path, _Calls(run, layout, scale))
        clips = ClipSource(
            name='', faces='', labels='', frames=1, sampling='last', order='kept',
            size=layout.size, channels=layout.channels, registration='none', points=5, margin=1.0,
            equalize='none',
            stills=False, neutral=False, drop_faceless=False, drop_soundless=False,
            unlabelled=False, simulated=Simulated(subjects=0, seed=0),
        )  # fmt: skip
        if found.shape[1:] != (len(classes),):
            raise UserError(
                f'{path} gives {found.shape[-1]} numbers a face, --classes names {len(classes)}: '
                'name each output'
            )
        softmax = bool(found.min() < 0 or np.abs(found.sum(1) - 1).max() > _SUM)
        return cls(path.stem, path, tuple(classes), clips, scale, softmax, one)

    @property
    def notes(self) -> tuple[str, ...]:
        """Returns what is to be known of it, for people."""
        low, high = self.scale
        return (
            f'faces of {self.clips.size} pixels, levels {low:g} to {high:g}',
            'what it was trained on is not known here: it may have seen test clips',
        )

    @functools.cached_property
    def digest(self) -> str:
        """SHA-256 of its file."""
        return checksums.sha256(self.path)

    def probabilities(self, clips: np.ndarray, length: np.ndarray | None = None) -> np.ndarray:
        """Classifies stills uint8 [n, 1, S, S, C]: float32 [n, class]."""
        said = self._run(clips)
        if self.softmax:
            said = scipy.special.softmax(said, 1)
        return said.astype(np.float32)


@dataclasses.dataclass(frozen=True)
class _Layout:
    """The form in which a network takes faces.

    Attributes:
      size: side in pixels.
      channels: 1 or 3.
      first: channels come before rows.
      batch: how many at a time; 0 for any number.
    """

    size: int
    channels: int
    first: bool
    batch: int

    @classmethod
    def find(cls, path: Path, shape: Sequence[int], size: int) -> '_Layout':
        """Reads a shape of four numbers, 0 where any number fits."""
        if len(shape) == 4 and (shape[1] in (1, 3) or shape[3] in (1, 3)):
            first = shape[3] not in (1, 3)
            rows = shape[2:] if first else shape[1:3]
            known = {side for side in (*rows, size) if side > 0}
            if len(known) == 1:
                (side,) = known
                return cls(side, shape[1] if first else shape[3], first, max(0, shape[0]))
            if not known:
                raise UserError(f'{path} sees faces of any size: give --size')
        raise UserError(
            f'{path} takes {[*shape]}'
            + (f', --size is {size}' if size else '')
            + ': give a network of one square face, 1 or 3 channels'
        )


@dataclasses.dataclass(frozen=True)
class _Calls:
    """Brings clips into a network's form and calls it, as many at a time as it takes."""

    run: Callable[[np.ndarray], np.ndarray]
    layout: _Layout
    scale: tuple[float, float]

    def __call__(self, clips: np.ndarray) -> np.ndarray:
        """Computes its outputs float [n, K] of clips uint8 [n, 1, S, S, C]."""
        low, high = self.scale
        parts, step = [], self.layout.batch or _BATCH
        for start in range(0, len(clips), step):
            some = clips[start : start + step, 0].astype(np.float32) * ((high - low) / 255) + low
            more = step - len(some) if self.layout.batch else 0
            filled = np.concatenate([some, np.repeat(some[-1:], more, axis=0)])
            if self.layout.first:
                filled = filled.transpose(0, 3, 1, 2)
            said = np.asarray(self.run(np.ascontiguousarray(filled)), np.float32)
            parts.append(said.reshape(len(filled), -1)[: len(some)])
        return np.concatenate(parts)


def _tried(path: Path, calls: _Calls) -> tuple[_Calls, np.ndarray]:
    """Calls a network with several faces; one at a time where it takes no several.

    Some files say that they take any number and hold a step for one alone.

    Returns:
      The calls that it takes, and its outputs float32 [_TRIED, K].
    """
    layout = calls.layout
    single = dataclasses.replace(calls, layout=dataclasses.replace(layout, batch=1))
    shape = (_TRIED, 1, layout.size, layout.size, layout.channels)
    faces = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    faces[0] = 0
    fault = ''
    for each in (calls,) if layout.batch else (calls, single):
        try:
            return each, each(faces)
        except Exception as error:  # the runtimes' own kinds, of which there are many
            fault = ' '.join(str(error).split())[:200]
    raise UserError(
        f'{path} does not run on faces of {layout.size} pixels ({fault}): give its --size, or '
        'export it again'
    )


def _onnx(path: Path) -> tuple[Callable[[np.ndarray], np.ndarray], list[int]]:
    """Opens an ONNX file: what runs it, and the shape of its input."""
    try:
        import onnx
        import onnxruntime
    except ImportError as error:
        raise UserError(
            f"{path}: {error.name} is missing: pip install 'fer_jax[export]'"
        ) from error
    try:
        model = onnx.load(path, load_external_data=False)
    except Exception as error:  # protobuf's own kinds
        raise UserError(f'{path} is no ONNX file, or damaged ({type(error).__name__})') from error
    for location in _external(model):
        _check_inside(path, location)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # what fails is raised, and said in one line
    try:
        session = onnxruntime.InferenceSession(str(path), options, ['CPUExecutionProvider'])
    except Exception as error:  # ONNX Runtime's own kinds, of which there are many
        raise UserError(f'{path}: ONNX Runtime cannot open it ({error})'.splitlines()[0]) from error
    given = session.get_inputs()
    if len(given) != 1:
        raise UserError(f'{path} has {len(given)} inputs: give a network of one face')
    if given[0].type not in _NUMBERS:
        raise UserError(
            f'{path} takes {given[0].type}: give a network whose input is one of '
            f'{", ".join(_NUMBERS)}'
        )
    dtype = _NUMBERS[given[0].type]
    name = given[0].name

    def run(faces: np.ndarray) -> np.ndarray:
        if dtype == np.uint8:
            faces = np.rint(faces)
        return session.run(None, {name: faces.astype(dtype)})[0]

    return run, [side if isinstance(side, int) else 0 for side in given[0].shape]


def _tflite(path: Path) -> tuple[Callable[[np.ndarray], np.ndarray], list[int]]:
    """Opens a TFLite file: what runs it, and the shape of its input."""
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError as error:
        raise UserError(
            f"{path}: {error.name} is missing: pip install 'fer_jax[export]'"
        ) from error
    try:
        network = Interpreter(str(path), num_threads=1)
        network.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise UserError(f'{path} is no TFLite file, or damaged ({error})') from error
    given, made = network.get_input_details(), network.get_output_details()
    if len(given) != 1 or given[0]['dtype'] != np.float32:
        raise UserError(f'{path}: give a network with one input of float32')

    def run(faces: np.ndarray) -> np.ndarray:
        network.set_tensor(given[0]['index'], faces)
        network.invoke()
        return network.get_tensor(made[0]['index'])

    return run, given[0]['shape'].tolist()


def _external(message: Any) -> Iterator[str]:
    """Finds where the data of a model's tensors lie that are not in its file, at any depth."""
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        if field.name == 'external_data':
            yield from (entry.value for entry in value if entry.key == 'location')
            continue
        for each in [value] if hasattr(value, 'ListFields') else value:
            yield from _external(each)


def _check_inside(path: Path, location: str) -> None:
    """Refuses data outside the file's folder: by '..', an absolute path, or a link."""
    folder = path.parent.resolve()
    target = (folder / location).resolve()
    stated = PurePosixPath(location.replace('\\', '/'))
    if stated.is_absolute() or '..' in stated.parts or not target.is_relative_to(folder):
        raise UserError(
            f'{path} keeps data outside its folder ({location}): it is not opened; save it with '
            'its data beside it'
        )
