"""Leave-one-subject-out over 118 simulated subjects: one population against one run a subject.

    python docs/loso_ratio.py OUT [SINGLE] [DATA_DIR]

Trains a small network on simulated CK+ for two epochs: first the folds 0 to SINGLE - 1 (default 4;
118 measures all) by commands started one after another, then all 118 by one command. Start-up,
compilation (neither has a compiled program when it begins) and report are counted; drawing the
faces, by a command before, is not. Checks that both predict the same, and prints seconds, CPU
seconds and the ratio. The cost of single runs that were not started is extrapolated from the mean
of those after the first, and said to be.
"""

import csv
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

CONFIG = Path(__file__).parents[1] / 'configs' / 'ckplus_c3d.py'
SMALL = {
    'data.frames': 2, 'data.size': 24, 'model.width': 0.03125, 'train.epochs': 2,
    'train.batch_size': 16, 'train.checkpoint_every': 2,
}  # fmt: skip
FOLDS = 118


def timed(folder: Path, cache: Path, data: list[str], fold: int) -> tuple[float, float]:
    """Measures seconds and CPU seconds of one command; fold -1 is all of them."""
    words = [f'--config.{key}={value}' for key, value in {**SMALL, 'protocol.fold': fold}.items()]
    command = [sys.executable, '-m', 'fer_jax.main', f'--config={CONFIG}:loso,simulated', *words]
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(
        [*command, f'--workdir={folder}', *data],
        check=True, stdout=subprocess.DEVNULL,
        env=os.environ | {'JAX_COMPILATION_CACHE_DIR': str(cache)},
    )  # fmt: skip
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - begun, used


def predicted(folder: Path) -> dict[tuple[str, str, str], list[str]]:
    """Maps rule, fold and clip to predicted class and probabilities."""
    with (folder / 'predictions.csv').open() as file:
        rows = list(csv.reader(file))[1:]
    return {(row[3], row[1], row[5]): row[8:] for row in rows if row[3] == 'last'}


def main(out: Path, single: int, data: list[str]) -> None:
    """Measures, compares and prints."""
    costs = []
    timed(out / 'drawing', out / 'compiled-drawing', data, 0)
    for fold in range(single):
        costs.append(timed(out / f'fold-{fold}', out / 'compiled-single', data, fold))
        print(f'fold {fold} alone: {costs[-1][0]:.1f} s, {costs[-1][1]:.1f} CPU s', flush=True)
    population = timed(out / 'population', out / 'compiled-population', data, -1)
    print(f'{FOLDS} folds as one population: {population[0]:.1f} s, {population[1]:.1f} CPU s')
    together = predicted(out / 'population')
    for fold in range(single):
        for key, values in predicted(out / f'fold-{fold}').items():
            assert together[key] == values, key
    print(f'the {single} folds predict the same in both, digit by digit')
    for number, unit in enumerate(('seconds', 'CPU seconds')):
        spent = [cost[number] for cost in costs]
        total, how = sum(spent), 'measured'
        if single < FOLDS:
            later = spent[1:] or spent
            total += (FOLDS - single) * sum(later) / len(later)
            how = f'extrapolated from {single} runs'
        ratio = total / population[number]
        print(f'{FOLDS} runs, {unit}: {total:.0f} ({how}); ratio {ratio:.1f}')


if __name__ == '__main__':
    main(
        Path(sys.argv[1]),
        int(sys.argv[2]) if len(sys.argv) > 2 else 4,
        [f'--data_dir={path}' for path in sys.argv[3:4]],
    )
