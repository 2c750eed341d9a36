"""How every command starts: flags in, one call, exit status out.

A command module has `define(fv)`, which declares its flags on an `absl.flags.FlagValues` of its own
(nothing is global, so that tests can import all commands), and `main(fv)`. The script fer-jax runs
them as Python's -m does. Exit status: 0 done (and --help), 1 the user's mistake (one line), 2 an
unknown flag or command, 143 interrupted and ready to resume; anything else is a defect and shows
its traceback.
"""

import ast
import runpy
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from absl import flags
from ml_collections import ConfigDict, config_flags
from ml_collections.config_flags.config_flags import ConfigFileFlagParser

from fer_jax import __version__, host
from fer_jax.config import find_config
from fer_jax.errors import Interrupted, UserError

Define = Callable[[flags.FlagValues], None]
Main = Callable[[flags.FlagValues], None]

EXIT_INTERRUPTED = 128 + signal.SIGTERM

# As `fer-jax` lists them; each is a module, or a package with a __main__.
COMMANDS = (
    *('main', 'ablate', 'prepare', 'simulate', 'protocol', 'report', 'evaluate', 'explain'),
    *('sweep', 'predict', 'export', 'studies', 'kahou2015', 'benchmark'),
)


class _ConfigParser(ConfigFileFlagParser):
    """Reads FILE[:variant] from wherever `find_config` finds the file."""

    def parse(self, path: str) -> ConfigDict:
        file, colon, variant = path.partition(':')
        return super().parse(f'{find_config(file)}{colon}{variant}')


def define_config(fv: flags.FlagValues) -> None:
    """Declares --config=FILE[:variant], and --config.section.key=value for each of its values."""
    config_flags.DEFINE_config_file(
        'config', None, 'the experiment: FILE[:variant]', flag_values=fv
    )
    fv['config'].parser = _ConfigParser('config')


def parse(define: Define, argv: Sequence[str]) -> flags.FlagValues:
    """Parses `argv` (without the program's name); the rest lies in `fv.positional`, a list of str.

    Raises:
      absl.flags.Error: an unknown flag.
      UserError: a value that a flag does not accept, or a wrong --config file, variant, key or
        value.
    """
    fv = flags.FlagValues()
    define(fv)
    flags.DEFINE_bool('help', False, 'show this help', short_name='h', flag_values=fv)
    given = sys.argv
    sys.argv = ['fer_jax', *argv]  # where ml_collections looks for --config.x.y
    try:
        rest = fv(sys.argv)[1:]
        if 'config' in fv and not isinstance(fv.config, ConfigDict | None):
            fv.config.lock()  # it stands for a file that could not be read: using it says why
    except flags.IllegalFlagValueError as error:
        raise UserError(_one_line(error)) from error
    except (AttributeError, KeyError, TypeError, ValueError, ImportError, OSError) as error:
        raise UserError(f'--config: {_one_line(error)}') from error
    finally:
        sys.argv = given
    flags.DEFINE_list('positional', rest, 'arguments that are no flags', flag_values=fv)
    fv.mark_as_parsed()
    return fv


def _one_line(error: Exception) -> str:
    """An exception's message without line breaks, and without the quotes that KeyError adds."""
    text = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    return ' '.join(text.split())


def call(main: Main, define: Define, argv: Sequence[str]) -> None:
    """Parses and calls: what `run` does, with the exceptions left to the caller (tests)."""
    main(parse(define, argv))


def run(main: Main, define: Define, doc: str | None) -> None:
    """Runs a command with `sys.argv` and exits with its status."""
    try:
        fv = parse(define, sys.argv[1:])
        if fv.help:
            print((doc or '').strip(), '\n\nflags:')
            print('\n'.join(_help_lines(fv)))
            sys.exit(0)
        main(fv)
    except flags.Error as error:
        print(f'error: {error} (--help lists the flags)', file=sys.stderr)
        sys.exit(2)
    except UserError as error:
        print(f'error: {error}', file=sys.stderr)
        sys.exit(1)
    except (Interrupted, KeyboardInterrupt) as error:
        print(f'interrupted: {error}' if str(error) else 'interrupted', file=sys.stderr)
        sys.exit(EXIT_INTERRUPTED)


def _help_lines(fv: flags.FlagValues) -> list[str]:
    """One line a flag: name, help and default."""
    lines = []
    for name in sorted({flag.name for flag in fv._flags().values()} - {'positional', 'help'}):
        flag = fv[name]
        default = '' if flag.default in (None, '', False) else f' (default {flag.default})'
        lines.append(f'  --{name}: {flag.help}{default}')
    return lines


def console() -> None:
    """Runs `fer-jax COMMAND ...`, and imports no other command."""
    host.keep_buffers()
    words = sys.argv[1:] or ['--help']
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
    """The first line of a command's docstring, read without importing it."""
    path = Path(__file__).parent.joinpath(*name.split('.'))
    source = path / '__main__.py' if path.is_dir() else path.with_suffix('.py')
    doc = ast.get_docstring(ast.parse(source.read_text(encoding='utf-8'))) or ''
    return doc.partition('\n')[0]
