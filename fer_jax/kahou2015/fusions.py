"""Fusion networks trained anew on a run's finished stages: ablations, and a search over sizes.

Only the fusion network is trained; the models whose features it is given stay as they are. What
kahou2015 reports of it: sigmoid, rectified linear and rectified tanh units (sec. 6.2), groups of a
penalty (sec. 5.1), sizes and dropout selected on the validation part (sec. 5.1; no range given).
"""

import csv
import dataclasses
import io
import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from fer_jax import atomic
from fer_jax.config import bind, complete
from fer_jax.errors import UserError
from fer_jax.evaluation import rundir
from fer_jax.kahou2015 import outcome
from fer_jax.kahou2015.feature_fusion import MODALITY
from fer_jax.kahou2015.fusion_training import Fusion
from fer_jax.kahou2015.models import Arrays
from fer_jax.kahou2015.partitions import ClipTable
from fer_jax.kahou2015.submissions import SUBMISSIONS, TEST, TRAIN, VALIDATION
from fer_jax.kahou2015.system import FUSED, FusionOptions, fused, inputs_of, network_of

NAME = 'fusions.csv'
BASE = 'base'
# What is changed against the run's own options; `penalty` and its groups are changed within it.
ABLATIONS: dict[str, tuple[str, dict[str, Any]]] = {
    BASE: ('the run as it stands', {}),
    'relu': ('rectified linear units (sec. 6.2)', {'activation': 'relu'}),
    'rectified_tanh': ('rectified tanh units (sec. 6.2)', {'activation': 'rectified_tanh'}),
    'fusion_rows': ('groups: rows of the common layer', {'groups': 'fusion_rows'}),
    'across': ('groups across modalities', {'groups': 'across'}),
    'scaled': ('every input standardised', {'scaled': True}),
}
# Trained on the training part and stopped by the validation part, by recipe.
_TRAINED = {SUBMISSIONS[number].recipe: number for number in (1, 2)}
# What the search draws from: units of FUSED, of the common layer, and dropout of both.
UNITS = ((25, 50, 100, 200), (5, 10, 20), (25, 50, 100))
COMMON, DROPOUT = (35, 70, 140), (0.0, 0.25, 0.5)
_SEEDS = 3
# A sigmoid beyond these has less than a twenty-fifth of its largest slope.
_SATURATED = 0.01
COLUMNS = ('name', 'recipe', 'why', 'train', VALIDATION, TEST, 'epochs', 'saturated', 'at_start')


@dataclasses.dataclass(frozen=True)
class Row:
    """A fusion network, trained from several seeds.

    Attributes:
      name, why: of the ablation, or of what was drawn.
      recipe: as of `fusion_training`.
      accuracy: {part: mean share of right clips over seeds}, of clips that have all modalities;
        NaN where no label of the part is known. Validation clips choose the epoch.
      epochs: those kept.
      saturated, at_start: share of the first layers' outputs on training clips that are saturated,
        by modality, of the network that is kept and before training; empty but for sigmoids.
    """

    name: str
    why: str
    recipe: str
    accuracy: Mapping[str, float]
    epochs: tuple[int, ...]
    saturated: tuple[float, ...]
    at_start: tuple[float, ...]


def write(folder: Path, draws: int) -> tuple[str, Path]:
    """Trains all, writes RUN/fusions.csv, and returns what a terminal shows and the file.

    Args:
      folder: of a finished run of the system.
      draws: of the search; 0 for none.

    Raises:
      UserError: no finished run of the system, or a negative number.
    """
    if draws < 0:
        raise UserError(f'--draws={draws}: give 0 (no search) or more')
    rundir.check_finished(folder)
    config = rundir.read_json(folder / 'config.json')
    if 'fusion' not in config:
        raise UserError(f'{folder} is no run of configs/afew_emotiw.py: it has no fusion network')
    config = complete(ConfigDict(config))
    options = bind(FusionOptions, config.fusion, 'fusion')
    found = outcome.load(folder)
    rows = []
    for row in trained(options, config.seed, found.table, found.models, draws):
        rows.append(row)
        print(_line(row), flush=True)
    text, path = io.StringIO(), folder / NAME
    writer = csv.writer(text, lineterminator='\n')
    writer.writerow(COLUMNS)
    writer.writerows(_cells(row) for row in rows)
    atomic.write_text(path, text.getvalue())
    return '\n'.join([*found.table.stamps, *_said(rows)]), path


def trained(
    options: FusionOptions,
    seed: int,
    table: ClipTable,
    said: Mapping[str, Arrays],
    draws: int,
) -> Iterator[Row]:
    """Trains every ablation under both recipes, then the sizes that are drawn, under 'stable'.

    Args:
      options: of the run.
      seed: the first of _SEEDS; of the drawing too.
      said: the models' stages.
    """
    for (name, (why, changes)), recipe in itertools.product(ABLATIONS.items(), _TRAINED):
        yield _train(name, why, changed(options, **changes), recipe, seed, table, said)
    rng = np.random.default_rng([seed, 62])
    for number in range(1, draws + 1):
        units = tuple(int(rng.choice(sizes)) for sizes in UNITS)
        common, rate = int(rng.choice(COMMON)), float(rng.choice(DROPOUT))
        why = f'units {", ".join(map(str, units))}; common {common}; dropout {rate:g}'
        own = changed(options, units=units, common=common, dropout_rate=rate)
        yield _train(f'drawn {number}', why, own, 'stable', seed, table, said)


def changed(options: FusionOptions, **changes: Any) -> FusionOptions:
    """Returns the options with other values; `groups` is one of the penalty."""
    if 'groups' in changes:
        changes['penalty'] = {**options.penalty, 'groups': changes.pop('groups')}
    return dataclasses.replace(options, **changes)


def _train(
    name: str,
    why: str,
    options: FusionOptions,
    recipe: str,
    seed: int,
    table: ClipTable,
    said: Mapping[str, Arrays],
) -> Row:
    number, seeds = _TRAINED[recipe], [seed + more for more in range(_SEEDS)]
    fusion = fused(options, table, said, number, seeds)
    return Row(
        name,
        why,
        recipe,
        {part: _accuracy(fusion, table, part) for part in (TRAIN, VALIDATION, TEST)},
        tuple(fusion.epoch.tolist()),
        *_saturation(options, fusion, inputs_of(options, table, said, number), seeds),
    )


def _accuracy(fusion: Fusion, table: ClipTable, part: str) -> float:
    """Computes the mean accuracy over seeds on a part's clips with a known label."""
    own = table.part(part)
    own = own[(table.truth[own] >= 0) & np.isfinite(fusion.probabilities[0, own]).all(-1)]
    if not len(own):
        return float('nan')
    return float((fusion.probabilities[:, own].argmax(-1) == table.truth[own]).mean())


def _saturation(
    options: FusionOptions, fusion: Fusion, features: Sequence[np.ndarray], seeds: Sequence[int]
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Computes the shares of saturated sigmoids, of the kept networks and of those at the start."""
    if options.activation != 'sigmoid':
        return (), ()
    given = [rows[fusion.clips].astype(np.float32) for rows in features]
    network = network_of(options, fusion.probabilities.shape[-1])

    def first(seed):  # as fusion_training draws it
        key, _ = jax.random.split(jax.random.key(seed))
        return network.init(key, [rows[:1] for rows in given])['params']

    start = jax.tree.map(lambda *leaves: np.stack(leaves), *map(first, seeds))
    return saturated(fusion.params, given), saturated(start, given)


def saturated(params: Mapping[str, Any], features: Sequence[np.ndarray]) -> tuple[float, ...]:
    """Computes, for each modality, the share of first-layer sigmoids outside 0.01 to 0.99.

    Args:
      params: of fusion networks, leaves float [seed, ...].
      features: of each modality, float [clip, feature].
    """
    shares = []
    for number, rows in enumerate(features, 1):
        layer = params[f'{MODALITY}{number}']
        sums = np.einsum('cf,sfu->scu', rows, layer['kernel']) + layer['bias'][:, None]
        shares.append(float((np.abs(sums) > np.log(1 / _SATURATED - 1)).mean()))
    return tuple(shares)


def _said(rows: Sequence[Row]) -> list[str]:
    """Says what was found, in lines."""
    drawn = [row for row in rows if row.name not in ABLATIONS]
    lines = [
        f'means of {_SEEDS} seeds; the validation part chooses the epoch (and among what was '
        'drawn), so that its accuracies are optimistic',
        f'saturated: share of the first layers outside {_SATURATED} to {1 - _SATURATED}, for '
        f'{", ".join(FUSED)}',
    ]
    if drawn:
        best = max(drawn, key=lambda row: row.accuracy[VALIDATION])
        lines.append(
            f'of {len(drawn)} drawn the validation part chooses {best.name} ({best.why}): '
            f'{_percent(best.accuracy[VALIDATION])} % there, {_percent(best.accuracy[TEST])} % on '
            'the test part'
        )
    return lines


def _line(row: Row) -> str:
    shares = [_percent(row.accuracy[part]) for part in (TRAIN, VALIDATION, TEST)]
    dull = ' '.join(_percent(share) for share in row.saturated)
    return (
        f'{row.name:<16}{row.recipe:<8}{" ".join(f"{share:>6}" for share in shares)}  '
        f'epochs {", ".join(map(str, row.epochs))}'
        f'{f"  saturated {dull}" if dull else ""}  {row.why}'
    )


def _percent(share: float) -> str:
    return '-' if np.isnan(share) else f'{100 * share:.2f}'


def _cells(row: Row) -> list[Any]:
    return [
        row.name, row.recipe, row.why,
        *(f'{row.accuracy[part]:.6g}' for part in (TRAIN, VALIDATION, TEST)),
        *(' '.join(f'{value:.6g}' for value in each)
          for each in (row.epochs, row.saturated, row.at_start)),
    ]  # fmt: skip
