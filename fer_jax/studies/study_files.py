"""The files of a study's folder besides its networks: kind, settings, results and versions.

A study is started again with the same settings to go on, and its page is drawn again from here.
"""

import dataclasses
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from fer_jax import atomic
from fer_jax import config as configs
from fer_jax.data import checksums
from fer_jax.errors import UserError
from fer_jax.evaluation import rundir

SETTINGS = 'study.json'
_FILES = (SETTINGS, 'results.json', 'versions.json')
_AGAIN = 'start the study again (its networks are kept), or in another --out'


@dataclasses.dataclass(frozen=True)
class Saved:
    """A study that has results.

    Attributes:
      settings: what it is known by.
      values: its results.
      versions: command, packages, devices, of the call that computed them.
    """

    settings: dict[str, Any]
    values: dict[str, Any]
    versions: dict[str, str]


def check(out: Path, kind: str) -> None:
    """Checks that a folder is free, or a study of this kind.

    Raises:
      UserError: it is another study, or holds something else.
    """
    known = rundir.kind_of(out)
    if known not in (None, kind):
        raise UserError(f'{out} is another study, it holds {known}; give another --out')
    if known is None and not atomic.is_free(out):
        raise UserError(f'{out} is no study and not empty; give another --out')


def begin(out: Path, kind: str, settings: Mapping[str, Any]) -> None:
    """Writes kind.json and study.json, or checks that they say the same.

    Raises:
      UserError: the folder is a study of another kind or of other settings, or holds something
        else.
    """
    check(out, kind)
    path = out / SETTINGS
    if not path.exists():
        rundir.write_kind(out, kind)
        atomic.write_json(path, settings)
        return
    wanted = json.loads(json.dumps(settings))  # JSON knows no tuples
    difference = configs.first_difference(wanted, rundir.read_json(path), 'study')
    if difference:
        raise UserError(f'{out} is another study: {difference}; give another --out')


def save(
    out: Path, values: Mapping[str, Any], versions: Mapping[str, str], also: Iterable[str] = ()
) -> None:
    """Writes results.json and versions.json, and checksums of all that the page is drawn from.

    Args:
      also: names of further files in the folder that it is drawn from.
    """
    atomic.write_json(out / 'versions.json', versions)
    atomic.write_json(out / 'results.json', values)
    checksums.write(out, (*_FILES, *also))


def load(out: Path) -> Saved:
    """Reads a study that has results.

    Raises:
      UserError: a file is missing, or not as the study wrote it.
    """
    for name in (*_FILES, checksums.NAME):
        if not (out / name).is_file():
            raise UserError(f'{out / name} is missing: {_AGAIN}')
    if missing := set(_FILES) - checksums.check(out, _AGAIN, records=True):
        raise UserError(f'{out / checksums.NAME} lacks {", ".join(sorted(missing))}: {_AGAIN}')
    return Saved(*(rundir.read_json(out / name) for name in _FILES))
