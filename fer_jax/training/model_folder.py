"""A model folder: trained networks with all that is needed to apply them, without their run.

  config.json         what the networks see and say, see `read_config`
  model.safetensors   their arrays
  seen.json.xz        the clips that they were trained or chosen on
  golden.npz          drawn faces, and what the networks say of them
  README.md           the model card

Folders that come with the package lie in fer_jax/weights/ and are found by their names.
"""

import hashlib
import json
import lzma
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
import safetensors
import safetensors.numpy
from flax import traverse_util
from flax.errors import FlaxError

from fer_jax import atomic
from fer_jax.errors import DAMAGED, UserError

FORMAT = 1
CONFIG, WEIGHTS, SEEN, GOLDEN, CARD = (
    *('config.json', 'model.safetensors', 'seen.json.xz', 'golden.npz', 'README.md'),
)
# What config.json holds, for it and each network that makes inputs for another.
_NETWORK_KEYS = {
    'name': str, 'classes': list, 'data': dict, 'inputs': dict, 'model': dict,
    'earlier': (dict, type(None)),
}  # fmt: skip
_KEYS = {
    **_NETWORK_KEYS, 'members': list, 'trained_on': dict, 'weights': dict,
    'temperature': (int, float, type(None)), 'validation_clips': (int, type(None)),
}  # fmt: skip
_MEMBER_KEYS = {'fold': int, 'seed': int, 'epoch': int}
_TRAINED_ON_KEYS = {'run': str, 'config': str, 'dataset': str, 'simulated': bool, 'commit': str}
SHIPPED = Path(__file__).parents[1] / 'weights'


def shipped() -> list[str]:
    """Lists the names of the networks that come with the package."""
    return sorted(path.parent.name for path in SHIPPED.glob(f'*/{CONFIG}'))


def find(name: str | Path) -> Path:
    """Returns the folder of what a user names: a network of the package, or a folder.

    A name of the package comes first; './small' is a folder of that name.

    Raises:
      UserError: neither.
    """
    if str(name) in shipped():
        return SHIPPED / name
    path = Path(name).expanduser()
    if path.is_dir():
        return path
    known = ', '.join(shipped()) or 'none in this installation'
    raise UserError(
        f'{name}: no such network or folder; give a name ({known}), the directory of a finished '
        'run, or a folder that fer_jax.export wrote'
    )


def is_folder(path: Path) -> bool:
    """Returns whether a directory is a model folder, be it damaged; a run is none."""
    run = (path / 'checkpoints').exists()
    return (path / WEIGHTS).exists() or ((path / CONFIG).exists() and not run)


def read_config(folder: Path) -> dict[str, Any]:
    """Reads config.json.

    Returns:
      format: FORMAT; name; classes; data, inputs, model: these sections of a config, which say what
      is cut out of a picture, what a network sees of it and what it is; earlier: the same of a
      network whose layer makes its inputs ({name, classes, data, inputs, model, layer, earlier}),
      None where it sees pictures; members: [{fold, seed, epoch}], whose probabilities are averaged;
      temperature, validation_clips: None without validation clips; trained_on: run, config,
      dataset, labels, targets, simulated, commit, probabilities (their SHA-256), starts_from,
      features_from, taught_by; weights: file, sha256, parameters, kernels (their type).

    Raises:
      UserError: missing, damaged or of another format.
    """
    path = folder / CONFIG
    if not path.is_file():
        raise UserError(f'{path} is missing: copy or export the folder again')
    try:
        config = json.loads(path.read_text(encoding='utf-8'))
        version = config['format']
    except DAMAGED as error:
        raise UserError(
            f'{path} is no description of a network ({type(error).__name__}: {error}): give a '
            'finished run, or a folder that fer_jax.export wrote'
        ) from error
    if version != FORMAT:
        raise UserError(f'{path} has format {version}, this version reads {FORMAT}: update fer_jax')
    try:
        _check(config, _KEYS)
        for member in config['members']:
            _check(member, _MEMBER_KEYS)
        _check(config['trained_on'], _TRAINED_ON_KEYS)
        _check(config['weights'], {'sha256': str})
        if not config['members'] or config['temperature'] is not None and not (
            isinstance(config['validation_clips'], int) and 0 < config['temperature'] < math.inf
        ):  # fmt: skip
            raise ValueError('no members, or a temperature that is none')
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise UserError(f'{path} is damaged ({error}): copy or export the folder again') from error
    return config


def _check(found: Any, kinds: Mapping[str, type | tuple[type, ...]]) -> None:
    """Checks keys and types of a JSON object, with those of the networks that make its inputs.

    Raises:
      TypeError, ValueError: one is missing or of another type; classes that are no names.
    """
    if not isinstance(found, dict):
        raise TypeError(f'{found!r} is no object')
    for key, kind in kinds.items():
        if not isinstance(found.get(key), kind) or (kind is int and found[key] is True):
            raise TypeError(f"'{key}' is {found.get(key, 'missing')!r}")
    if 'classes' in kinds:
        names = found['classes']
        named = all(isinstance(n, str) and n.isprintable() for n in names)
        if not named or not 1 < len(set(names)) == len(names):
            raise ValueError(f"'classes' is {names!r}")
    if found.get('earlier') is not None:
        _check(found['earlier'], {**_NETWORK_KEYS, 'layer': str})


def read_arrays(folder: Path, config: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Reads the arrays of all members, after comparing the file's hash with `config`.

    Returns:
      For each member {'params', 'batch_stats', 'fits': {name: {number: array}}} and, where its
      inputs are made by another network, 'earlier' with the same of that one; float32 where a
      number was stored in two bytes.

    Raises:
      UserError: missing, or another file than the one that was exported.
    """
    path = folder / WEIGHTS
    if not path.is_file():
        raise UserError(f'{path} is missing: copy or export the folder again')
    data = path.read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if found != config['weights']['sha256']:
        raise UserError(
            f'{path} is damaged or another one: its SHA-256 is {found[:12]}..., {CONFIG} says '
            f'{config["weights"]["sha256"][:12]}...: copy or export the folder again'
        )
    try:
        flat = safetensors.numpy.load(data)
    except safetensors.SafetensorError as error:
        raise UserError(f'{path} is damaged ({error}): copy or export the folder again') from error
    nested = traverse_util.unflatten_dict(flat, sep='/')
    count = len(config['members'])
    if set(nested) != {str(member) for member in range(count)}:
        raise UserError(
            f'{path} holds {len(nested)} networks, {CONFIG} names {count}: copy or export the '
            'folder again'
        )
    return [widened(nested[str(member)]) for member in range(count)]


def check_arrays(
    folder: Path, apply: Callable, variables: Mapping[str, Any], clip: Sequence[int]
) -> None:
    """Traces a network on its arrays without computing anything.

    Args:
      apply: a function of variables, clips float32 and their lengths.
      clip: shape of the clips.

    Raises:
      UserError: the network that config.json describes has other arrays.
    """
    frames = jax.ShapeDtypeStruct(tuple(clip), np.float32)
    length = jax.ShapeDtypeStruct((clip[0],), np.int32)
    try:
        jax.eval_shape(apply, variables, frames, length)
    except (FlaxError, TypeError, ValueError, ArithmeticError, LookupError) as error:
        said = ' '.join(str(error).split())[:200]
        raise UserError(
            f'{folder}: the network that {CONFIG} describes does not fit its arrays ({said}): '
            'copy or export the folder again'
        ) from error


def read_seen(folder: Path) -> dict[int, frozenset[str]]:
    """Reads for each fold the ids of the clips that its networks were trained or chosen on."""
    path = folder / SEEN
    try:
        by_fold = json.loads(lzma.decompress(path.read_bytes()))
        return {int(fold): frozenset(ids) for fold, ids in by_fold.items()}
    except (*DAMAGED, AttributeError, lzma.LZMAError) as error:
        raise UserError(
            f'{path} is missing or damaged ({error}): copy or export the folder again'
        ) from error


def halved(arrays: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a member's arrays with two bytes a number in its kernels.

    Vectors, and what was fitted on training clips, keep their type: they are few, and variances
    span more than two bytes hold.
    """

    flat: dict[Any, Any] = traverse_util.flatten_dict(dict(arrays))
    for path, array in flat.items():
        if array.ndim > 1 and 'fits' not in path:
            flat[path] = array.astype(np.float16)
    return traverse_util.unflatten_dict(flat)


def widened(arrays: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a member's arrays with float32 for what `halved` made float16."""
    return jax.tree.map(
        lambda x: x.astype(np.float32) if x.dtype == np.float16 else x, dict(arrays)
    )


def serialise(members: Sequence[Mapping[str, Any]]) -> bytes:
    """Returns the content of model.safetensors; the members are as of `read_arrays`."""
    flat = traverse_util.flatten_dict({str(n): dict(each) for n, each in enumerate(members)})
    return safetensors.numpy.save(
        {'/'.join(path): np.ascontiguousarray(array) for path, array in flat.items()}
    )


def write(
    folder: Path,
    config: Mapping[str, Any],
    weights: bytes,
    seen: Mapping[int, Sequence[str]],
    golden: Mapping[str, np.ndarray],
) -> None:
    """Writes all but the card, config.json last, with the hash of the weights in it.

    Raises:
      UserError: the folder is not empty.
    """
    if not atomic.is_free(folder):
        raise UserError(f'{folder} is not empty: give another --out')
    ids = json.dumps({str(fold): sorted(names) for fold, names in seen.items()})
    files = {
        WEIGHTS: weights,
        SEEN: lzma.compress(ids.encode(), preset=9 | lzma.PRESET_EXTREME),
    }
    for name, data in files.items():
        with atomic.replacing(folder / name) as temporary:
            temporary.write_bytes(data)
    with atomic.replacing(folder / GOLDEN) as temporary:
        np.savez_compressed(temporary, **golden)  # pyright: ignore[reportArgumentType]
    digest = {'sha256': hashlib.sha256(weights).hexdigest()}
    atomic.write_json(
        folder / CONFIG,
        {'format': FORMAT, **config, 'weights': {**config['weights'], **digest}},
    )
