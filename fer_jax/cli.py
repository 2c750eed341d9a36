"""Starts every command: flags in, one call, exit status out.

A command module has `define(fv)`, which declares its flags on an `absl.flags.FlagValues` of its own
(nothing is global, so that tests can import all commands), and `main(fv)`. The script fer-jax runs
them as Python's -m does. Exit status: 0 done (and --help), 1 the user's mistake or what the system
refuses (one line), 2 an unknown flag or command, 75 a storage or the other processes cannot be
reached (one line), 130 stopped by Ctrl-C and 143 by SIGTERM (a run is then ready to resume), 141
nobody reads what is printed; anything else is a defect and shows its traceback.
"""

import ast
import contextlib
import io
import os
import re
import runpy
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from absl import flags
from ml_collections import ConfigDict, config_flags
from ml_collections.config_flags.config_flags import ConfigFileFlagParser

from fer_jax import __version__, atomic, host
from fer_jax.config import find_config, load_config, read_config
from fer_jax.errors import Interrupted, Stopped, UserError

Define = Callable[[flags.FlagValues], None]
Main = Callable[[flags.FlagValues], None]

POSITIONAL = 'positional'
FOLDERS = {'workdir', 'data_dir', 'out'}  # flags that name a place on this machine

_PATIENCE = 5.0  # seconds of cleaning up, in which a second Ctrl-C is passed over

# As `fer-jax` lists them; each is a module, or a package with a __main__.
COMMANDS = (
    *('main', 'ablate', 'prepare', 'simulate', 'protocol', 'report', 'evaluate', 'explain'),
    *('sweep', 'predict', 'predict.page', 'export', 'studies', 'kahou2015', 'benchmark'),
)


class _ConfigParser(ConfigFileFlagParser):
    """Reads FILE[:variant] from wherever `find_config` finds the file; or a run's config.json."""

    def parse(self, path: str) -> ConfigDict:
        file, colon, variant = path.partition(':')
        found = find_config(file)
        if found.suffix == '.json':
            if colon:
                raise UserError(
                    f"{found} has no variants: leave out ':{variant}', or give the config file "
                    'that the run was made of'
                )
            return read_config(found)
        try:
            config = load_config(found, variant) if colon else load_config(found)
        except UserError:
            raise
        except Exception as error:  # whatever comes up in a file that somebody writes
            raise UserError(f'{found}{_line_in(found, error)}: {_said(error)}') from error
        if not isinstance(config, ConfigDict):
            raise UserError(f'{found}: get_config gives {config!r}, which is no ConfigDict')
        return config.lock()


def _line_in(file: Path, error: Exception) -> str:
    """Finds the line of a config file in which an error came up: ', line 3'; '' for none."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__)
             if frame.filename == str(file)]  # fmt: skip
    if isinstance(error, SyntaxError) and error.lineno:
        lines.append(error.lineno)
    return f', line {lines[-1]}' if lines else ''


def _said(error: Exception) -> str:
    """Returns the kind of an error and the last line of its message."""
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    last = (text.strip().splitlines() or [''])[-1]
    kind = type(error).__name__
    return last if last.startswith(kind) else f'{kind}: {last}'


def define_config(fv: flags.FlagValues) -> None:
    """Declares --config=FILE[:variant], and --config.section.key=value for each of its values."""
    config_flags.DEFINE_config_file(
        'config', None, 'the experiment: FILE[:variant]', flag_values=fv
    )
    fv['config'].parser = _ConfigParser('config')


def define_positional(fv: flags.FlagValues, words: str) -> None:
    """Declares that a command takes arguments that are no flags: `words`, as its help has them."""
    flags.DEFINE_list(POSITIONAL, [], words, flag_values=fv)


def parse(define: Define, argv: Sequence[str]) -> flags.FlagValues:
    """Parses `argv` (without the program's name); the rest lies in `fv.positional`, a list of str.

    Raises:
      absl.flags.Error: an unknown flag.
      UserError: a value that a flag does not accept, an argument that is no flag of a command that
        takes none, or a wrong --config file, variant, key or value.
    """
    fv = flags.FlagValues()
    define(fv)
    flags.DEFINE_bool('help', False, 'show this help', short_name='h', flag_values=fv)
    given = sys.argv
    sys.argv = ['fer_jax', *argv]  # where ml_collections looks for --config.x.y
    try:
        rest = fv(sys.argv)[1:]
    except flags.IllegalFlagValueError as error:
        raise UserError(_one_line(error)) from error
    except (AttributeError, KeyError, TypeError, ValueError, ImportError, OSError) as error:
        raise UserError(f'--config: {_one_line(error)}') from error
    finally:
        sys.argv = given
    if POSITIONAL not in fv:
        if rest:
            raise UserError(f"'{rest[0]}' is no flag: this command takes flags alone (--help)")
        define_positional(fv, '')
    fv.mark_as_parsed()
    fv[POSITIONAL].value = rest
    for name in FOLDERS & set(fv):
        atomic.check_local(fv[name].value or '', f'--{name}')
    return fv


def _one_line(error: Exception) -> str:
    """Strips an exception's message of line breaks and of the quotes that KeyError adds."""
    while error.args and isinstance(error.args[0], Exception):  # ml_collections wraps its own
        error = error.args[0]
    text = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    return ' '.join(text.split())


def command_line() -> str:
    """Returns how this process was called, as it may be written down: without passwords."""
    words = sys.orig_argv[1:]
    installed = Path(*words[:1]).name == 'fer-jax'  # the script, not python -m
    line = ' '.join(['fer-jax', *words[1:]] if installed else ['python', *words])
    return masked(printable(line))


def printable(name: str | Path) -> str:
    """Returns a file's name as text that can be written: what is no UTF-8 is a question mark."""
    return os.fsencode(name).decode('utf-8', 'replace')


def masked(text: str) -> str:
    """Returns text with *** in place of passwords: of an address, or behind `password=`."""
    text = re.sub(r'(://[^:/@\s]*):[^\s?]*@', r'\1:***@', text)
    return re.sub(r'(?i)(passw(?:or)?d|passphrase|secret|token)=[^&\s]+', r'\1=***', text)


def call(main: Main, define: Define, argv: Sequence[str]) -> None:
    """Parses and calls: what `run` does, with the exceptions left to the caller (tests)."""
    main(parse(define, argv))


def run(main: Main, define: Define, doc: str | None) -> None:
    """Runs a command with `sys.argv` and exits with its status."""
    with _statuses():
        fv = parse(define, sys.argv[1:])
        if fv.help:
            print((doc or '').strip(), '\n\nflags:')
            print('\n'.join(_help_lines(fv)))
        else:
            main(fv)


@contextlib.contextmanager
def _statuses() -> Iterator[None]:
    """Exits with the status of what a block raises, and says it in a line."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a test's is none
            stream.reconfigure(errors='replace')  # what an ASCII terminal cannot show
    try:
        for number in (signal.SIGTERM, signal.SIGINT):
            # A shell's background job ignores Ctrl-C, and goes on doing so.
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, _Stop())
        sys.unraisablehook = _stop_after_all
        yield
        sys.stdout.flush()
    except flags.Error as error:
        print(f'error: {_printable(error)} (--help lists the flags)', file=sys.stderr)
        sys.exit(2)
    except UserError as error:
        print(f'error: {_printable(error)}', file=sys.stderr)
        sys.exit(error.status)
    except Interrupted as error:
        print(f'interrupted: {error}' if str(error) else 'interrupted', file=sys.stderr)
        sys.exit(128 + error.number)
    except KeyboardInterrupt as error:
        number = error.args[0] if isinstance(error, Stopped) else signal.SIGINT
        print('interrupted', file=sys.stderr, flush=True)
        with contextlib.suppress(OSError):
            sys.stdout.flush()
        os._exit(128 + number)  # what libraries do at an exit in the middle of their work may crash
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # flushed once more at exit
        sys.exit(128 + signal.SIGPIPE)
    except Exception as error:
        said = atomic.refusal(error)
        if not said:
            raise
        print(f'error: {_printable(said)}', file=sys.stderr, flush=True)
        with contextlib.suppress(OSError):
            sys.stdout.flush()
        os._exit(1)  # what libraries would still write at an exit fails as well, with a traceback


class _Stop:
    """Raises `Stopped` at the first signal, and ends the process at one that comes later."""

    def __init__(self):
        self._since: float | None = None

    def __call__(self, number: int, _frame: object) -> None:
        now = time.monotonic()
        if self._since is None:
            self._since = now
            raise Stopped(number)
        if now - self._since > _PATIENCE:
            os._exit(128 + number)


def _stop_after_all(event: Any) -> None:
    """Sends a signal once more whose `Stopped` came where nothing is raised: in a collection."""
    if not isinstance(event.exc_value, Stopped):
        sys.__unraisablehook__(event)
        return
    (number,) = event.exc_value.args
    if isinstance(signal.getsignal(number), _Stop):
        signal.signal(number, _Stop())
    later = threading.Timer(0.1, os.kill, (os.getpid(), number))
    later.daemon = True
    later.start()


def _printable(text: object) -> str:
    """Escapes a message's control characters, which would steer a terminal."""
    return ''.join(c if c.isprintable() else repr(c)[1:-1] for c in str(text))


def _help_lines(fv: flags.FlagValues) -> list[str]:
    """Writes one line a flag: name, help and default."""
    lines = []
    for name in sorted({flag.name for flag in fv._flags().values()} - {POSITIONAL, 'help'}):
        flag = fv[name]
        default = '' if flag.default in (None, '', False) else f' (default {flag.default})'
        lines.append(f'  --{name}: {flag.help}{default}')
    return lines


def console() -> None:
    """Runs `fer-jax COMMAND ...`, and imports no other command."""
    host.prepare_command()
    with _statuses():
        _console(sys.argv[1:] or ['--help'])


def _console(words: list[str]) -> None:
    if words[0] in ('--help', '-h'):
        width = max(map(len, COMMANDS))
        print('fer-jax COMMAND ... is python -m fer_jax.COMMAND ...\n\ncommands:')
        print('\n'.join(f'  {name:{width}}  {_summary(name)}' for name in COMMANDS))
        print('\nfer-jax COMMAND --help lists its flags.')
    elif words[0] == '--version':
        print(__version__)
    elif words[0] in COMMANDS:
        sys.argv[1:] = words[1:]
        runpy.run_module(f'fer_jax.{words[0]}', run_name='__main__', alter_sys=True)
    else:
        print(f"error: no command '{words[0]}' (fer-jax --help lists them)", file=sys.stderr)
        sys.exit(2)


def _summary(name: str) -> str:
    """Reads the first line of a command's docstring without importing it."""
    path = Path(__file__).parent.joinpath(*name.split('.'))
    source = path / '__main__.py' if path.is_dir() else path.with_suffix('.py')
    doc = ast.get_docstring(ast.parse(source.read_text(encoding='utf-8'))) or ''
    return doc.partition('\n')[0]
