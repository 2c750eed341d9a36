"""Exit status and messages of commands, as a shell sees them."""

import errno
import importlib
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from absl import flags

from fer_jax import cli
from fer_jax.errors import Away, UserError

ROOT = Path(__file__).parents[1]
SCRIPT = ['-c', 'from fer_jax.cli import console; console()']  # what fer-jax runs


def command(*arguments, start=('-m', 'fer_jax.main'), cwd=ROOT):
    return subprocess.run(
        [sys.executable, *start, *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=cwd,
        env=os.environ | {'PYTHONPATH': str(ROOT)},
    )


def one_line(done):
    """The line that a command says when it was given something wrong."""
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith('error: '), done.stderr
    return lines[0]


def test_help_is_status_0_and_lists_the_flags():
    done = command('--help')
    assert done.returncode == 0
    for flag in ('--config', '--workdir', '--data_dir'):
        assert flag in done.stdout
    assert not done.stderr


def test_an_unknown_flag_is_status_2():
    done = command('--confg=x')
    assert done.returncode == 2
    assert 'confg' in done.stderr and 'Traceback' not in done.stderr


@pytest.mark.parametrize(
    'arguments,words',
    [
        ([], ['--config=configs/ckplus_c3d.py']),
        (['--config=configs/nowhere.py'], ['configs/nowhere.py: no such', 'afew_rnn.py, afew_svm']),
        (['--config=configs/ckplus_c3d.py:simulted'], ['simulted', 'loso']),
        (['--config=configs/ckplus_c3d.py', '--config.trian.epochs=3'], ['trian']),
        (['--config=configs/ckplus_c3d.py', '--config.train.epohs=3'], ["'epohs' Did you mean"]),
        (['--config=configs/ckplus_c3d.py', '--config.train.epochs=many'], ['epochs', 'many']),
        (['--config=configs/ckplus_c3d.py', '--config.train.epochs=1.5'], ['epochs', '1.5']),
        (
            ['--config=configs/ckplus_c3d.py', '--data_dir=/nonexistent/data'],
            ['fer_jax.prepare --dataset=ckplus'],
        ),
    ],
)
def test_a_users_mistake_is_one_line_and_status_1(arguments, words, tmp_path):
    done = command(*arguments, f'--workdir={tmp_path / "run"}')
    assert done.returncode == 1, done.stderr
    for word in words:
        assert word in one_line(done)


@pytest.mark.parametrize('config', ['configs/ckplus_c3d.py:loso', 'ckplus_c3d.py:loso'])
def test_a_config_is_found_from_any_directory(config, tmp_path):
    done = command(f'--config={config}', '--data_dir=nowhere', cwd=tmp_path)
    assert 'ckplus is not prepared' in one_line(done)


def test_the_script_starts_every_command_and_lists_them(tmp_path):
    listed = command('--help', start=SCRIPT, cwd=tmp_path)
    assert listed.returncode == 0
    for name in cli.COMMANDS:
        assert f'\n  {name} ' in listed.stdout
    done = command('report', 'nowhere', start=SCRIPT, cwd=tmp_path)
    assert done.returncode == 1 and 'no run at nowhere' in one_line(done)
    usage = command('studies', '--help', start=SCRIPT, cwd=tmp_path)
    assert usage.returncode == 0 and '--subjects' in usage.stdout


def test_the_script_knows_no_other_command():
    done = command('train', start=SCRIPT)
    assert done.returncode == 2 and "'train'" in one_line(done)


def test_the_script_imports_nothing_of_other_commands():
    program = "import sys; from fer_jax.cli import console; console(); print('jax' in sys.modules)"
    done = command(start=('-c', program))
    assert done.stdout.splitlines()[-1] == 'False', done.stderr


PASSWORDS = ('geheim', 'p@ss:w/ord')


@pytest.mark.parametrize('password', PASSWORDS)
def test_a_command_line_is_kept_without_passwords(monkeypatch, password):
    address = f'postgresql+psycopg://me:{password}@host:5432/studies'
    for words in ([f'--storage={address}'], ['--storage', f'{address}?password={password}&a=1']):
        monkeypatch.setattr(sys, 'orig_argv', ['python', '-m', 'fer_jax.sweep', *words, '--x=a:b'])
        kept = cli.command_line()
        assert password not in kept and password[-4:] not in kept
        assert '://me:***@host:5432/studies' in kept and kept.endswith('--x=a:b')
        assert kept.startswith('python -m fer_jax.sweep ')
    monkeypatch.setattr(sys, 'orig_argv', ['python', '/bin/fer-jax', 'main', '--config=a'])
    assert cli.command_line() == 'fer-jax main --config=a'


def define(fv):
    """The flags of a command that takes a config, and no other argument."""
    cli.define_config(fv)


@pytest.mark.parametrize(
    'content, message',
    [
        (b'def get_config(:', 'line 1: SyntaxError: invalid syntax'),
        (b'def get_config():\n\tx = 1\n        return 2', 'line 3: TabError'),
        (b'x = 1\0', 'SyntaxError: source code .* null bytes'),
        (b'# -*- coding: nowhere -*-', 'SyntaxError: .*encoding'),
        (b'"\xff\xfe"', 'line 1: SyntaxError'),
        (b'\n1 / 0', 'line 2: ZeroDivisionError: division by zero'),
        (b'def get_config():\n    return nowhere', "line 2: NameError: name 'nowhere'"),
        (b'def get_config():\n    return get_config()', 'line 2: RecursionError'),
        (b'import nowhere', "line 1: ModuleNotFoundError: No module named 'nowhere'"),
        (b'assert False', 'line 1: AssertionError'),
        (b'raise KeyError("key")', "line 1: KeyError: 'key'"),
        (b'x = 3', 'declares no config: write get_config'),
        (b'def get_config(): return {}[1]', 'line 1: KeyError: 1'),
        (b'def get_config(): return 3', 'get_config gives 3, which is no ConfigDict'),
    ],
)
def test_a_config_file_that_fails_is_named_with_its_line(tmp_path, content, message):
    file = tmp_path / 'mine.py'
    file.write_bytes(content)
    with pytest.raises(cli.UserError, match=f'{file}(, |: | ){message}') as caught:
        cli.parse(define, [f'--config={file}'])
    assert '\n' not in str(caught.value)


def test_the_config_of_a_run_is_a_config(tmp_path):
    from fer_jax.config import as_json, complete, identity, load_config

    config = complete(load_config('fer2013_stn.py'))
    file = tmp_path / 'config.json'
    file.write_text(json.dumps(as_json(config)))
    read = cli.parse(define, [f'--config={file}']).config
    assert identity(read) == identity(config) and complete(read).to_dict() == config.to_dict()
    changed = cli.parse(define, [f'--config={file}', '--config.train.epochs=3']).config
    assert changed.train.epochs == 3
    for variant in ('simulated', 'nonsense', ''):
        with pytest.raises(cli.UserError, match=f"no variants: leave out ':{variant}'"):
            cli.parse(define, [f'--config={file}:{variant}'])
    for text in ('{', '[]', '{"a": 1}', '[' * 100_000):
        file.write_text(text)
        with pytest.raises(cli.UserError, match='give the config.json of a run'):
            cli.parse(define, [f'--config={file}'])


def test_arguments_that_no_command_takes_are_refused():
    with pytest.raises(cli.UserError, match="'here' is no flag: this command takes flags alone"):
        cli.parse(define, ['here'])

    def takes(fv):
        cli.define_positional(fv, 'RUN')

    assert cli.parse(takes, ['one', 'two']).positional == ['one', 'two']
    assert cli.parse(define, []).positional == []


PROGRAM = """
import pathlib, signal, sys, time
# A shell's background job, and whatever it starts, ignores Ctrl-C otherwise.
signal.signal(signal.SIGINT, signal.default_int_handler)
from fer_jax import atomic, cli
def define(fv): pass
def main(fv):
    with atomic.replacing('target') as temporary:
        temporary.write_text('half')
        print('ready', flush=True)
        time.sleep(60)
cli.run(main, define, 'doc')
"""


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize('times', [1, 2])
def test_a_signal_is_one_word_one_status_and_leaves_nothing(tmp_path, number, times):
    process = subprocess.Popen(
        [sys.executable, '-c', PROGRAM],
        cwd=tmp_path, env=os.environ | {'PYTHONPATH': str(ROOT)}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout.readline() == 'ready\n'
    for _ in range(times):
        process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (128 + number, 'interrupted\n')
    assert not list(tmp_path.iterdir())


COLLECTING = """
import gc, os, signal, time
from fer_jax import cli
def define(fv): pass
def stopped(phase, info):
    gc.callbacks.remove(stopped)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(0.1)
def main(fv):
    from fer_jax import runtime
    runtime.prepare()
    gc.callbacks.append(stopped)
    gc.collect()
    time.sleep(60)
cli.run(main, define, 'doc')
"""


def test_a_signal_while_python_collects_stops_too():
    """Nothing is raised out of a collection's callbacks, of which JAX has one."""
    done = subprocess.run(
        [sys.executable, '-c', COLLECTING], capture_output=True, text=True, timeout=60, cwd=ROOT
    )
    assert (done.returncode, done.stderr) == (143, 'interrupted\n')


def test_help_that_nobody_reads_to_its_end():
    done = subprocess.run(
        f'{sys.executable} -m fer_jax.main --help | head -1; exit ${{PIPESTATUS[0]}}',
        shell=True, executable='/bin/bash', capture_output=True, text=True, cwd=ROOT,
    )  # fmt: skip
    assert done.stderr == '' and done.stdout.count('\n') == 1
    assert done.returncode in (0, 141)  # all may fit into the pipe before head ends


def test_a_device_that_is_not_there_is_one_line(monkeypatch):
    monkeypatch.setenv('JAX_PLATFORMS', 'nowhere')
    done = command('--config=fer2013_stn.py', '--data_dir=nowhere')
    assert done.returncode == 1
    assert "JAX_PLATFORMS='nowhere'" in one_line(done)


@pytest.mark.parametrize('error', [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EMFILE])
def test_what_the_system_refuses_is_one_line(monkeypatch, capsys, error):
    def main(fv):
        try:
            raise OSError(error, os.strerror(error), 'some/file')
        except OSError as cause:
            raise ValueError('of a library') from cause

    monkeypatch.setattr(sys, 'argv', ['fer_jax'])
    monkeypatch.setattr(signal, 'signal', lambda *given: None)
    monkeypatch.setattr(os, '_exit', sys.exit)
    with pytest.raises(SystemExit) as status:
        cli.run(main, lambda fv: None, '')
    assert status.value.code == 1
    assert capsys.readouterr().err.startswith(f'error: some/file: {os.strerror(error)}; ')


def test_what_cannot_be_reached_has_a_status_of_its_own(monkeypatch, capsys):
    def main(fv):
        raise Away('the storage does not answer: bring it back')

    monkeypatch.setattr(sys, 'argv', ['fer_jax'])
    monkeypatch.setattr(signal, 'signal', lambda *given: None)
    with pytest.raises(SystemExit) as stopped:
        cli.run(main, lambda fv: None, '')
    assert stopped.value.code == 75
    assert capsys.readouterr().err == 'error: the storage does not answer: bring it back\n'


def test_control_characters_are_shown_not_obeyed(monkeypatch, capsys):
    def main(fv):
        raise cli.UserError('a\x1b[31mb\nc\u202e: \u00fcber')

    monkeypatch.setattr(sys, 'argv', ['fer_jax'])
    monkeypatch.setattr(signal, 'signal', lambda *given: None)
    with pytest.raises(SystemExit):
        cli.run(main, lambda fv: None, '')
    assert capsys.readouterr().err == 'error: a\\x1b[31mb\\nc\\u202e: \u00fcber\n'


@pytest.mark.parametrize('name', cli.COMMANDS)
def test_help_fits_a_screen_and_says_where_more_is(name):
    module = importlib.import_module(
        f'fer_jax.{name}' if (ROOT / f'fer_jax/{name}.py').is_file() else f'fer_jax.{name}.__main__'
    )
    known = flags.FlagValues()
    module.define(known)
    doc = (module.__doc__ or '').strip()
    assert len(doc.splitlines()) + len(known) + 3 <= 46  # lines of --help
    assert f'\n    python -m fer_jax.{name} ' in doc
    assert '\nFirst flags: --' in doc
    pages = re.findall(r'docs/[\w/]+\.md', doc.split('Documented in')[1])
    assert pages and all((ROOT / page).is_file() for page in pages)


@pytest.mark.parametrize('name', cli.COMMANDS)
def test_flags_are_known_before_what_takes_seconds_to_import(name):
    """Help, a wrong flag and a config that is none are answered at once."""
    source = (
        'import importlib, sys\n'
        'from absl import flags\n'
        f'module = importlib.import_module("fer_jax.{name}")\n'
        'if hasattr(module, "__path__"):\n'
        f'    module = importlib.import_module("fer_jax.{name}.__main__")\n'
        'module.define(flags.FlagValues())\n'
        'print(*sys.modules)\n'
    )
    done = command(start=('-c', source))
    slow = {'jax', 'flax', 'scipy.stats', 'sklearn', 'pandas', 'tensorflow', 'optuna', 'torch'}
    assert done.returncode == 0, done.stderr
    assert not slow & set(done.stdout.split())


@pytest.mark.parametrize('key, value', [('runner', 'os.system'), ('model', {'name': 'os.system'})])
def test_no_dotted_name_of_a_file_is_looked_up(tmp_path, key, value):
    from fer_jax.config import complete

    file = tmp_path / 'config.json'
    sound = {'name': 'x', 'runner': 'experiment', 'protocol': {'name': 'official'}}
    file.write_text(json.dumps(sound | {key: value}))
    config = cli.parse(define, [f'--config={file}']).config
    with pytest.raises(cli.UserError, match='os.system'):
        complete(config)


@pytest.mark.parametrize('name', sorted(cli.FOLDERS))
def test_a_bucket_is_no_folder(name):
    def define(fv):
        flags.DEFINE_string(name, None, 'a folder', flag_values=fv)

    assert cli.parse(define, [f'--{name}=runs/gs'])[name].value == 'runs/gs'
    with pytest.raises(UserError, match=f"--{name} is 'gs://bucket/run': give a folder"):
        cli.parse(define, [f'--{name}=gs://bucket/run'])
