"""The documents: short where they are read first, without dead links, no figure with two values."""

import ast
import re
import subprocess
import tomllib
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fer_jax.papers import jain2018

ROOT = Path(__file__).parents[1]
DOCS = ROOT / 'docs'
# Outside docs/, where the build of the site does not look.
PAGES = sorted([*ROOT.glob('*.md'), *(ROOT / '.github').rglob('*.md')])
RESULTS = (DOCS / 'results.md').read_text()

# A row of the README's results -> the heading and the first cell of its row in docs/results.md.
ROWS = {
    'haddad2020, C3D, CK+': ('haddad2020', '`ckplus_c3d.py`'),
    'jain2018, CNN + IRNN, JAFFE': ('jain2018', '`jaffe_cnn_rnn.py --config.init.run=CNN`'),
    'kahou2015, whole system, AFEW, test part': ('The whole EmotiW system', 'Submission 6'),
    'minaee2019, STN, FER2013 with FER+ labels': (
        'Real FER2013',
        'FER+ seven classes, STN, 60',
    ),
    'saurav2020, 3D CNN + ConvLSTM, CK+': ('saurav2020', '`ckplus_convlstm.py`'),
}


def prose(path: Path) -> str:
    """Returns a page without its code."""
    return re.sub(r'^ {4,}.*$|`[^`]*`', '', path.read_text(), flags=re.MULTILINE)


def slugs(path: Path) -> set[str]:
    """Returns the anchors of a page's headings, as GitHub and the site make them."""
    headings = re.findall(r'^#+ (.+)$', path.read_text(), re.MULTILINE)
    return {
        re.sub(r'[^\w\- ]', '', heading.replace('`', '').lower()).strip().replace(' ', '-')
        for heading in headings
    }


def rows(text: str, heading: str = '') -> dict[str, list[str]]:
    """Returns the rows of a page's tables, or of those under a heading, by their first cell."""
    if heading:
        text = re.split(rf'^#+ {re.escape(heading)}$', text, flags=re.MULTILINE)[1]
        text = re.split(r'^#+ ', text, maxsplit=1, flags=re.MULTILINE)[0]
    lines = [line.strip('|').split('|') for line in text.splitlines() if line.startswith('|')]
    return {cells[0].strip(): [cell.strip() for cell in cells[1:]] for cells in lines}


def figures(cells: list[str]) -> set[str]:
    """Returns the accuracies, with their intervals, that cells hold."""
    found = re.findall(r'(?<![\d.,])\d+(?:\.\d+)?(?: \([\d.]+ to [\d.]+\))?', ' | '.join(cells))
    return {figure for figure in found if '.' in figure or figure == '100'}


@pytest.mark.parametrize('path', PAGES, ids=lambda path: path.name)
def test_links_into_the_repository_lead_somewhere(path):
    wrong = []
    for link in re.findall(r'\]\(\s*([^)\s]+)\s*\)', prose(path)):
        if re.match(r'https?:|mailto:', link):
            continue
        file, _, anchor = link.partition('#')
        target = (path.parent / file).resolve() if file else path
        if not target.exists() or (anchor and anchor not in slugs(target)):
            wrong.append(link)
    assert not wrong


def test_the_readme_is_short():
    assert len((ROOT / 'README.md').read_bytes()) <= 10_000


def test_the_notes_list_every_decision():
    decisions = re.findall(r'^### (.+)$', (DOCS / 'decisions.md').read_text(), re.MULTILINE)
    notes = ' '.join((ROOT / 'BUILD_NOTES.md').read_text().split())
    assert len(decisions) > 60
    assert not [decision for decision in decisions if f'[{decision}]' not in notes]


def test_no_figure_of_the_readme_has_another_value_in_the_results():
    found = rows((ROOT / 'README.md').read_text(), 'Results')
    assert {name for name in found if re.match(r'\w+\d{4}', name)} == set(ROWS)
    for name, (heading, first) in ROWS.items():
        known = figures(rows(RESULTS, heading)[first])
        assert figures(found[name]), name
        assert figures(found[name]) <= known, name


def test_no_figure_of_a_config_is_missing_in_the_results():
    flat = ' '.join(RESULTS.split())
    wrong = []
    for path in sorted((ROOT / 'configs').glob('*.py')):
        doc = ' '.join((ast.get_docstring(ast.parse(path.read_text())) or '').split())
        for interval in re.findall(r'\([\d.]+ to [\d.]+(?=[;)])', doc):
            if interval not in flat:
                wrong.append(f'{path.name}: {interval})')
    assert not wrong


def test_jains_page_states_the_angle_that_the_paper_leaves_open():
    angle = jain2018.RECIPE['augment']['options']['rotation']
    (row,) = re.findall(r'^\| angle .*$', (DOCS / 'papers' / 'jain2018.md').read_text(), re.M)
    assert f'{angle:g} degrees' in row


def test_every_file_of_a_run_is_in_the_documents_tables():
    left = re.search(r'\[\'DONE\',[^\]]*\]', (DOCS / 'tour.ipynb').read_text())[0]
    table = ' '.join(rows((DOCS / 'running.md').read_text(), 'What a run leaves on the disk'))
    named = {name.strip('/') for name in re.findall(r'`([^`]*)`', table)}
    assert not set(ast.literal_eval(left)) - named
    assert 'samples.npz' in (DOCS / 'privacy.md').read_text()


def added(path: str) -> str:
    """Returns a file that the page on extending adds."""
    text = (DOCS / 'extending.md').read_text()
    (lines,) = re.findall(rf'^\+\+\+ b/{path}\n@@ [^\n]*\n(.*?)^```', text, re.M | re.S)
    return re.sub(r'^\+', '', lines, flags=re.MULTILINE)


def test_the_network_of_extending_counts_no_repeated_frame():
    module = {}
    exec(added('fer_jax/models/linear.py'), module)
    network = module['Linear'](num_classes=2)
    frames = np.random.default_rng(0).random((1, 3, 2, 2, 1), np.float32)
    frames[:, 2] = frames[:, 1]
    variables = network.init(jax.random.key(0), frames)
    logits = network.apply(variables, frames, length=jnp.array([2]))
    np.testing.assert_allclose(logits, network.apply(variables, frames[:, :2]), rtol=1e-5)


def test_the_card_of_extending_says_which_run_answers():
    (ours,) = tomllib.loads(added('fer_jax/papers/doe2027.toml'))['table1']['ours']
    assert ours['holds']


def test_the_additions_of_extending_apply_to_the_code():
    text = (DOCS / 'extending.md').read_text()
    patch = ''.join(re.findall(r'^```diff\n(.*?)^```', text, re.MULTILINE | re.DOTALL))
    files = patch.count('\n+++ b/')
    command = ['git', 'apply', '--check', '--verbose', '-']
    done = subprocess.run(command, cwd=ROOT, input=patch, capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr.count('Checking patch') == files > 5, done.stderr
