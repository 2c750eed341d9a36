"""Damaged input of every kind: one line that says so, or a result that is as it should be."""

import collections
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from fer_jax.errors import UserError
from tests.fuzz import mutations
from tests.fuzz.targets import OVERRIDES, TARGETS, opened

ROOT = Path(__file__).parents[2]
SEED = int(os.environ.get('FER_JAX_FUZZ_SEED', '18'))
SHORT, LONG = 8, 155  # cases of each of the targets: 104 and 2,015 with the overrides
MOST_SECONDS, MOST_BYTES = 60, 3 * 2**30


def is_told(said, kinds=False):
    """Tells whether a refusal is one line; with `kinds`, one line for each kind of mistake, too."""
    first, *lines = said.split('\n')
    several = kinds and re.search(r': mistakes of (\d+) kinds:$', first)
    if several:
        told = {line.partition(' (')[0] for line in lines if line.startswith('  ')}
        if not int(several[1]) == len(told) == len(lines) > 1:
            return False
    return bool(first) and (several or not lines) and max(map(len, [first, *lines])) < 1500


def outcome(read, what, kinds=False):
    """'refused', or the result; everything else that a mutation brings about is a failure."""
    begun = time.monotonic()
    try:
        found = read()
    except UserError as error:
        said = str(error)
        assert is_told(said, kinds), f'{what}: {said!r}'
        found = 'refused'
    except RecursionError as error:
        raise AssertionError(f'{what}: RecursionError') from error
    assert time.monotonic() - begun < MOST_SECONDS, f'{what}: too long'
    return found


def memory(key):
    """Reads the bytes of this process that Linux states under `key`."""
    lines = Path('/proc/self/status').read_text().splitlines()
    (line,) = (line for line in lines if line.startswith(f'{key}:'))
    return 1024 * int(line.split()[1])


def differences(wanted, found, name=''):
    """Lists (name of a value, how it differs); 'gone' and 'new' are the names of whole keys."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        changes = [('gone', str(key)) for key in wanted.keys() - found.keys()]
        changes += [('new', str(key)) for key in found.keys() - wanted.keys()]
        for key in wanted.keys() & found.keys():
            changes += differences(wanted[key], found[key], str(key))
        return changes
    return [] if wanted == found else [(name, f'{wanted!r:.80} -> {found!r:.80}')]


def cases(name, count, tmp_path):
    """Damages a target `count` times and counts what came of it."""
    target, place = TARGETS[name], tmp_path / 'whole'
    # Linux forgets the peak of earlier tests in this process, but not what they still hold.
    Path('/proc/self/clear_refs').write_text('5')
    before = memory('VmRSS')
    target.write(place)
    wanted = target.read(place)
    number = sorted(TARGETS).index(name)
    counted, failed, accepted = collections.Counter(), [], []
    for case in range(count):
        rng = np.random.default_rng([SEED, number, case])
        folder = tmp_path / f'case-{case}'
        shutil.copytree(place, folder)
        files = sorted(path for path in folder.rglob(target.pattern) if path.is_file())
        what = f'{name} {case}: {mutations.damage(folder, files, rng)}'
        try:
            found = outcome(lambda folder=folder: target.read(folder), what, target.kinds)
        except Exception as error:
            failed.append(f'{what}: {type(error).__name__}: {str(error)[:300]}')
            counted['failed'] += 1
        else:
            changes = [] if found == 'refused' else differences(wanted, found)
            same = 'another' if changes else 'same'
            counted['refused' if found == 'refused' else same] += 1
            for value, change in changes:
                line = f'{what}: {value}: {change}: {target.accepted.get(value, "not explained")}'
                (accepted if value in target.accepted else failed).append(line)
        shutil.rmtree(folder)
    assert memory('VmHWM') - before < MOST_BYTES
    return counted, failed, accepted


def overridden(count):
    """Gives `count` keys of a config a value that may be a wrong one."""
    counted, failed = collections.Counter(), []
    for case in range(count):
        rng = np.random.default_rng([SEED, 99, case])
        key = OVERRIDES[int(rng.integers(len(OVERRIDES)))]
        value = mutations.NUMBERS[int(rng.integers(len(mutations.NUMBERS)))]
        word = f'--config.{key}={value}'
        try:
            found = outcome(lambda word=word: opened('--config=fer2013_stn.py', word), word)
            counted['refused' if found == 'refused' else 'in range'] += 1
        except Exception as error:
            failed.append(f'{word[:100]}: {type(error).__name__}: {str(error)[:300]}')
    return counted, failed


def report(name, counted, failed, accepted=()):
    """Prints the counts; FER_JAX_FUZZ_LOG names a file that gets them, failures and acceptances."""
    print(f'{name}: {dict(counted)}')
    if 'FER_JAX_FUZZ_LOG' in os.environ:
        with open(os.environ['FER_JAX_FUZZ_LOG'], 'a') as log:
            log.write('\n'.join([f'{name}: {dict(counted)}', *failed, *accepted, '']))
    assert not failed, '\n'.join(failed)


@pytest.mark.parametrize('name', TARGETS)
def test_damaged_files_are_refused_in_a_line_or_harmless(name, tmp_path):
    report(name, *cases(name, SHORT, tmp_path))


def test_overrides_are_refused_in_a_line_or_in_range():
    report('overrides', *overridden(SHORT))


@pytest.mark.slow
@pytest.mark.parametrize('name', TARGETS)
def test_many_damaged_files_are_refused_in_a_line_or_harmless(name, tmp_path):
    report(name, *cases(name, LONG, tmp_path))


def test_several_lines_are_refused_but_one_for_each_kind_of_mistake():
    one = 'manifest.csv: the label is empty (1): line 3; fill it in'
    lines = ('m.csv: mistakes of 2 kinds:', '  no label (1): line 3', '  no file (1): line 4')
    two = '\n'.join(lines)
    assert is_told(one) and is_told(one, kinds=True)
    assert is_told(two, kinds=True) and not is_told(two)
    assert not is_told('', kinds=True)
    assert not is_told(f'{one}\n{one}', kinds=True)
    assert not is_told(two + '\nmore', kinds=True)
    assert not is_told(two.replace('no file', 'no label'), kinds=True)


COMMANDS = {
    'ckplus': ('prepare', '--dataset=ckplus', '--release={}', '--data_dir={}-data'),
    'fer2013.csv': ('prepare', '--dataset=fer2013', '--release={}', '--data_dir={}-data'),
    'configs': ('main', '--config={}/config.json', '--print_config'),
    'run directory': ('report', '{}', '--out={}-page'),
}


@pytest.mark.slow
@pytest.mark.parametrize('case', range(100))
def test_a_command_on_damaged_files_says_a_line_or_does_its_work(case, tmp_path):
    name = list(COMMANDS)[case % len(COMMANDS)]
    target, folder = TARGETS[name], tmp_path / 'given'
    target.write(folder)
    rng = np.random.default_rng([SEED, 100, case])
    pattern = '*.json' if name == 'configs' else target.pattern
    files = sorted(path for path in folder.rglob(pattern) if path.is_file())
    what = mutations.damage(folder, files, rng)
    module, *words = COMMANDS[name]
    done = subprocess.run(
        [sys.executable, '-m', f'fer_jax.{module}', *(word.format(folder) for word in words)],
        capture_output=True, text=True, timeout=600,
        env=os.environ | {'PYTHONPATH': str(ROOT), 'JAX_PLATFORMS': 'cpu'},
    )  # fmt: skip
    assert done.returncode in (0, 1), f'{what}: {done.stderr}'
    assert 'Traceback' not in done.stderr, f'{what}: {done.stderr}'
    said = [line for line in done.stderr.splitlines() if line.startswith('error: ')]
    assert len(said) == done.returncode, f'{what}: {done.stderr}'


@pytest.mark.slow
def test_many_overrides_are_refused_in_a_line_or_in_range():
    report('overrides', *overridden(LONG))
