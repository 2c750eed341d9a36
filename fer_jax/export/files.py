"""Writes what every exported program has beside it.

model.json   classes, inputs, temperature, what a face is, hashes of the files
golden.npz   drawn faces as the program takes them, and what the networks say of them
README.md    the same for people, with how far runtimes differ and how long they take
"""

import hashlib
import multiprocessing
import os
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from fer_jax import __version__, atomic, host
from fer_jax.data import cropping
from fer_jax.evaluation import calibration
from fer_jax.experiment.predictor import Predictor
from fer_jax.export.folder import drawn_faces
from fer_jax.reports import page

ABOUT, GOLDEN, CARD = 'model.json', 'golden.npz', 'README.md'
# Faces that golden.npz keeps; all drawn faces are compared.
_KEPT = 4
# A face alone is timed so often, and the least time counts.
_REPEATS = 100

# Runtime -> function of clips uint8 [n, T, S, S, C] and lengths int32 [n], to probabilities.
Runtimes = Mapping[str, Callable[[np.ndarray, np.ndarray], np.ndarray]]


def missing(package: str) -> str:
    """Says in a line that a package of the extra is not installed."""
    return f"{package} is not installed: pip install 'fer_jax[export]'"


def write(
    predictor: Predictor,
    out: Path,
    name: str,
    programs: Mapping[str, bytes],
    inputs: Mapping[str, np.ndarray],
    axes: str,
    runtimes: Callable[[Path], Runtimes],
    clips: int | str = 'clips',
) -> list[str]:
    """Writes programs and all that belongs to them; model.json last.

    Args:
      name: what the network is called; '' for its own name.
      programs: the content of each file.
      inputs: drawn faces (`folder.drawn_faces`) as the programs take them, by the inputs' names.
      axes: names of the axes of the first input, for people.
      runtimes: opens what runs the files of a folder; named at the top of a module, since a
        process of its own calls it.
      clips: how many the programs take at a time; a name where that is free.

    Returns:
      Lines for people.
    """
    out.mkdir(parents=True, exist_ok=True)
    for file, data in programs.items():
        with atomic.replacing(out / file) as temporary:
            temporary.write_bytes(data)
    frames, length = drawn_faces(predictor)
    said = predictor.probabilities(frames, length)
    golden = {key: value[:_KEPT] for key, value in inputs.items()}
    golden |= {'probabilities': said[:_KEPT], 'classes': np.array(predictor.classes)}
    with atomic.replacing(out / GOLDEN) as temporary:
        np.savez_compressed(temporary, **golden)  # pyright: ignore[reportArgumentType]
    rows = _measured(predictor, out, runtimes)
    about = {
        'fer_jax': __version__,
        'name': name or predictor.name,
        'classes': list(predictor.classes),
        'inputs': [
            {'name': key, 'dtype': str(value.dtype), 'shape': [clips, *value.shape[1:]]}
            for key, value in inputs.items()
        ],
        'axes': axes,
        'output': {'name': 'probabilities', 'shape': [clips, len(predictor.classes)]},
        'temperature': predictor.temperature if predictor.validation_clips else None,
        'uncertain_below': calibration.UNCERTAIN,
        'face': {
            'margin': predictor.clips.margin,
            'registration': predictor.clips.registration,
            'equalize': predictor.clips.equalize,
            'channels': predictor.clips.channels,
        },
        'simulated': predictor.simulated,
        'digest': predictor.digest,
        'files': {file: hashlib.sha256(data).hexdigest() for file, data in programs.items()},
        'parity': rows,
        'note': page.NOTE,
    }
    atomic.write_text(out / CARD, _card(about))
    atomic.write_json(out / ABOUT, about)
    lines = [f'note: {note}' for note in predictor.notes]
    for row in rows:
        lines.append(
            f'{row["runtime"]}: differs by at most {row["largest_difference"]:.1e}, '
            f'{row["ms_a_face"]:.2f} ms a face on one core'
        )
    return [*lines, f'{out}: {sum(path.stat().st_size for path in out.iterdir()):,} bytes']


def _measured(
    predictor: Predictor, out: Path, runtimes: Callable[[Path], Runtimes]
) -> list[dict[str, Any]]:
    """Compares runtimes with JAX, in a process that has one core."""
    networks = predictor.networks
    member = networks[0].member if len(networks) == 1 else -1
    context = multiprocessing.get_context('spawn')
    with ProcessPoolExecutor(1, context, initializer=_keep_to_one_core) as pool:
        return pool.submit(_compare, predictor.path, member, out, runtimes).result()


def _keep_to_one_core() -> None:
    if hasattr(os, 'sched_setaffinity'):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def _compare(
    path: Path, member: int, out: Path, runtimes: Callable[[Path], Runtimes]
) -> list[dict[str, Any]]:
    """Makes the rows of `_measured`: runtime, cores, largest_difference, ms_a_face."""
    predictor = Predictor.open(path, member)
    frames, length = drawn_faces(predictor)
    expected = predictor.probabilities(frames, length)
    rows = []
    for name, run in {'JAX': predictor.probabilities, **runtimes(out)}.items():
        difference = float(np.abs(run(frames, length) - expected).max())
        run(frames[:1], length[:1])
        taken = []
        for _ in range(_REPEATS):
            started = time.perf_counter()
            run(frames[:1], length[:1])
            taken.append(time.perf_counter() - started)
            if sum(taken) > 10:
                break
        rows.append(
            {
                'runtime': name,
                'cores': host.cores(),
                'largest_difference': difference,
                'ms_a_face': round(1000 * min(taken), 3),
            }
        )
    return rows


def _card(about: Mapping[str, Any]) -> str:
    """Composes README.md."""
    inputs = '\n'.join(
        f'- `{each["name"]}`: {each["dtype"]} [{", ".join(map(str, each["shape"]))}]'
        for each in about['inputs']
    )
    face, temperature = about['face'], about['temperature']
    table = '\n'.join(
        f'| {row["runtime"]} | {row["largest_difference"]:.1e} | {row["ms_a_face"]:.2f} |'
        for row in about['parity']
    )
    first = ''
    if face['equalize'] != 'none':
        first = f'Before it is resized, it is equalised: {cropping.IN_WORDS[face["equalize"]]}.\n'
    simulated = 'It was trained on SIMULATED faces: it is a test of the programs, not of faces.\n'
    return f"""# {about['name']}

Inputs ({about['axes']}):

{inputs}

A picture shows one face, {face['margin']} times as wide as the face box, registration
`{face['registration']}`, {
        'grey' if face['channels'] == 1 else 'red, green, blue'
    }, levels 0 to 255.
{first}Of what follows resizing all is inside: equalisation, normalisation, crop, mirror image,
calibration.

Output: `probabilities` float32 [{about['output']['shape'][0]}, {len(about['classes'])}] of
{', '.join(about['classes'])}; {
        'not calibrated'
        if temperature is None
        else f'calibrated by a temperature of {temperature:.3f}'
    }. A highest one below
{about['uncertain_below']:.2f} is uncertain.

{simulated if about['simulated'] else ''}## Runtimes

Of drawn faces, against the network in JAX; a face alone on one core, the least of {_REPEATS} times.

| runtime | largest difference | ms a face |
|---|---|---|
{table}

{about['note']}
"""
