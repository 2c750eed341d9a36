"""Does time matter? The same networks on the same clips, their frames in order and not.

On simulated CK+, divided by subject, each network is trained and judged with every clip's frames as
they were filmed, in a random order, and with its last frame, the apex, in place of all. Folds,
seeds, starts, batches and augmentation are the same, so the accuracies are paired.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from fer_jax.config import complete
from fer_jax.errors import UserError
from fer_jax.evaluation import comparison
from fer_jax.evaluation.rundir import Run

ORDERS = {'kept': 'in order', 'shuffled': 'shuffled', 'apex': 'apex repeated'}
TITLES = {'c3d': '3D CNN', 'convlstm': '3D CNN + ConvLSTM'}
# haddad2020's network at a sixteenth of its width, saurav2020's at a quarter.
NETWORKS = {
    'c3d': {
        'name': 'c3d',
        'activation': 'elu',
        'pooling': 'max',
        'dropout_rate': 0.1,
        'width': 0.0625,
    },
    'convlstm': {'name': 'convlstm', 'dropout_rate': 0.1, 'width': 0.25},
}
PAPERS = {'c3d': 'haddad2020', 'convlstm': 'saurav2020'}
# Drawn anew for every clip and epoch, and held over a clip's frames.
AUGMENTATION = {'flip': 0.5, 'rotation': 6.0, 'shift': 0.03, 'scale': 0.04, 'contrast': 0.2}


@dataclasses.dataclass(frozen=True)
class OrderDesign:
    """The sizes of the study, the same for every network and order.

    Attributes:
      subjects: simulated people.
      release: seed of the simulated release.
      folds: of subjects, every k-th (`idstep`).
      frames: of a clip, equally spaced from neutral to apex; size: side of a frame in pixels.
      epochs, batch_size, learning_rate: of Adam with cosine decay; the last epoch is judged.
    """

    subjects: int = 118
    release: int = 0
    folds: int = 5
    frames: int = 4
    size: int = 32
    epochs: int = 16
    batch_size: int = 8
    learning_rate: float = 1e-3


def make_config(design: OrderDesign, network: str, order: str, seeds: int) -> ConfigDict:
    """Makes the config of a network (of NETWORKS) and an order (of ORDERS), all folds and seeds."""
    return complete(
        {
            'name': f'{network}_{order}',
            'paper': PAPERS[network],
            'simulated': {'subjects': design.subjects, 'seed': design.release},
            'data': {
                'name': 'ckplus',
                'faces': 'release',
                'frames': design.frames,
                'sampling': 'uniform',
                'order': order,
                'size': design.size,
                'registration': 'eyes',
            },
            'protocol': {'name': 'idstep', 'k': design.folds},
            'inputs': {'normalize': 'mean_std'},
            'augment': {'kind': 'random', 'options': AUGMENTATION},
            'model': NETWORKS[network],
            'optimizer': {'learning_rate': design.learning_rate, 'schedule': 'cosine'},
            'train': {
                'batch_size': design.batch_size,
                'epochs': design.epochs,
                'seeds': seeds,
                'checkpoint_every': design.epochs,
                'evaluate_batch': 64,
            },
        }
    )


def cells(run: Run) -> np.ndarray:
    """Returns a run's test accuracy after the last epoch, float64 [seed, fold].

    Raises:
      UserError: a fold of a seed diverged, so that it cannot be paired.
    """
    if run.predictions.failed.any():
        raise UserError(f'{run.path} cannot be paired: {"; ".join(run.predictions.stamps)}')
    rows = run.predictions.at(run.predictions.epochs - 1)
    seed, fold = (np.unique(values, return_inverse=True)[1] for values in (rows.seed, rows.fold))
    at, shape = seed * (fold.max() + 1) + fold, (seed.max() + 1, fold.max() + 1)
    right = np.bincount(at, weights=rows.predicted == rows.label) / np.bincount(at)
    return right.reshape(shape)


def compute(runs: Mapping[str, Mapping[str, Run]]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Computes what results.json holds, and what `comparison.compute` says of each network's runs.

    Results, all plain Python, shares in 0..1: stamps, clips, subjects, folds, seeds, level, draws;
    networks {of NETWORKS: title, majority (accuracy of naming the commonest class of training),
    orders {of ORDERS: title, accuracy (pooled, mean over seeds), interval, cells [seed][fold]},
    pairs}. A pair: first, second (of ORDERS), difference (of the accuracies, first minus second),
    interval (by bootstrap over subjects, seeds averaged), cells [seed][fold] of differences,
    better (in how many of them the first is better), worse, effect_size, tests: see
    `comparison.compute`.

    Args:
      runs: {network: {order: finished run}}.
    """
    networks, compared = {}, {}
    for network, of_order in runs.items():
        found = comparison.compute(list(of_order.values()), rule='last', names=list(of_order))
        order_of = {entry['letter']: entry['name'] for entry in found['runs']}
        entries = {entry['name']: entry['results']['last'] for entry in found['runs']}
        inside = {order: cells(run) for order, run in of_order.items()}
        pairs = []
        for pair in found['pairs']:
            first, second = order_of[pair['first']], order_of[pair['second']]
            each = np.round(inside[first] - inside[second], 9)
            pairs.append(
                {
                    'first': first,
                    'second': second,
                    'difference': pair['difference'],
                    'interval': list(pair['interval']),
                    'cells': each.tolist(),
                    'better': int((each > 0).sum()),
                    'worse': int((each < 0).sum()),
                    'effect_size': pair['effect_size'],
                    'tests': pair['tests'],
                }
            )
        networks[network] = {
            'title': TITLES[network],
            'majority': next(iter(entries.values()))['majority_accuracy'],
            'orders': {
                order: {
                    'title': ORDERS[order],
                    'accuracy': entry['pooled_accuracy'],
                    'interval': entry['intervals']['pooled_accuracy'],
                    'cells': inside[order].tolist(),
                }
                for order, entry in entries.items()
            },
            'pairs': pairs,
        }
        compared[network] = found
    return {
        'stamps': found['stamps'],
        'clips': found['clips'],
        'subjects': found['subjects'],
        'folds': len(found['folds']),
        'seeds': len(found['runs'][0]['seeds']),
        'level': found['level'],
        'draws': found['draws'],
        'networks': networks,
    }, compared


def pair_title(pair: Mapping[str, Any]) -> str:
    """Names a pair as a difference in words."""
    return f'{ORDERS[pair["first"]]} − {ORDERS[pair["second"]]}'


def summary_text(values: Mapping[str, Any]) -> str:
    """Formats the results as plain text for a terminal, at most 79 columns."""
    lines = [f'*** {stamp} ***' for stamp in values['stamps']]
    counted = values['seeds'] * values['folds']
    lines += [
        f'{values["clips"]} clips of {values["subjects"]} simulated people, {values["folds"]} '
        f'folds, {values["seeds"]} seed{"s" * (values["seeds"] > 1)}; per cent, points,',
        f'{100 * values["level"]:.0f} % intervals by bootstrap over subjects; better: of '
        f'{counted} pairs of a fold and seed',
    ]
    for network in values['networks'].values():
        lines += ['', f'{network["title"]} (commonest class {100 * network["majority"]:.2f})']
        for order in network['orders'].values():
            low, high = (100 * end for end in order['interval'])
            lines.append(
                f'  {order["title"]:<30}{100 * order["accuracy"]:>8.2f}'
                f'{f"{low:.1f} to {high:.1f}":>18}'
            )
        for pair in network['pairs']:
            low, high = (100 * end for end in pair['interval'])
            lines.append(
                f'  {pair_title(pair):<30}{100 * pair["difference"]:>+8.2f}'
                f'{f"{low:+.1f} to {high:+.1f}":>18}   better in {pair["better"]}'
            )
    return '\n'.join(lines)
