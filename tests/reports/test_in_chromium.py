"""The pages in a real browser: no errors, images loaded, tables sort, a phone's width is enough."""

import base64
import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fer_jax.data.clips import ClipSet
from fer_jax.data.protocols import Fold
from fer_jax.evaluation import ablations, comparison, ensembles, rundir
from fer_jax.evaluation.predictions import TEST, Predictions
from fer_jax.evaluation.table import SHARE, Column, Table
from fer_jax.experiment.fits import MemberFits
from fer_jax.experiment.trained import TrainedNetwork
from fer_jax.explain import page as explain_page
from fer_jax.explain import saliency
from fer_jax.explain.network import Trained
from fer_jax.explain.occlusion import Windows
from fer_jax.reports import comparison_page, judgement_page, page, run_page
from fer_jax.studies.leakage import LeakageDesign, divisions, optimism
from fer_jax.studies.leakage import page as leakage_page
from fer_jax.studies.leakage.outcomes import Outcomes
from fer_jax.training.members import Member
from fer_jax.training.step import System

pytestmark = pytest.mark.chromium

DESKTOP, PHONE = (1280, 900), (390, 844)


@pytest.fixture(scope='module')
def pages(tmp_path_factory, finished_run, other_run, make_predictions, make_run):
    """Every kind of page that a run, several runs, the laboratory and what explains a run make."""
    out = tmp_path_factory.mktemp('pages')
    base, other = rundir.load(finished_run), rundir.load(other_run)
    elsewhere = make_run(out / 'run', make_predictions(folds=4, epochs=4), simulated=True)
    runs = {'base': base, 'other': other, 'folds': rundir.load(elsewhere)}
    about = {name: (f'The ablation {name}.', {'train.epochs': 3}) for name in runs}
    return {
        'run': run_page.write_report(finished_run, out / 'report'),
        'comparison': comparison_page.write(comparison.compute([base, other]), out / 'comparison'),
        'ablations': comparison_page.write(ablations.compute(runs, about), out / 'ablations'),
        'ensemble': judgement_page.write(
            ensembles.judge([base, other]), out / 'ensemble', "by its run's own rule"
        ),
        'laboratory': write_laboratory(out / 'laboratory'),
        'explain': write_explain(base, out / 'explain'),
    }


def write_laboratory(out):
    """The page of a laboratory whose networks guess."""
    rng = np.random.default_rng(0)
    count, subject = 60, np.arange(60) // 3
    clips = ClipSet(
        name='people', classes=('anger', 'fear', 'happiness'), simulated=True,
        frames=rng.integers(0, 256, (count, 2, 8, 8, 1)).astype(np.uint8),
        length=np.full(count, 2, np.int32), label=(np.arange(count) % 3).astype(np.int32),
        subject=np.array([f'S{number:03}' for number in subject]),
        clip_id=np.array([f'clip{number:03}' for number in range(count)]),
        split=np.full(count, ''),
    )  # fmt: skip
    design, seeds = LeakageDesign(folds=3, epochs=4), 2
    view = {'flip': 0.5, 'rotation': 10.0, 'shift': 0.1, 'scale': 0.1, 'contrast': 0.2}
    copies = divisions.make_copies(clips, design.copies, 0, **view)
    size, grid = len(copies.source), (len(design.settings), design.epochs)
    shape = (seeds, design.folds, *grid)
    outcomes = Outcomes(
        divided=rng.random((3, seeds, size)) < 0.7,
        seen_clip=np.ones((3, seeds)), seen_subject=np.ones((3, seeds)),
        trained=np.full((3, seeds, design.folds), 2 * size // 3),
        tested=np.full((3, seeds, design.folds), size // 3),
        fold=np.stack([subject % design.folds] * seeds),
        right=rng.random((seeds, *grid, count)) < 0.6,
        loss=rng.random(shape),
        validation_right=rng.integers(0, 10, shape).astype(float),
        validation_loss=rng.random(shape),
        validated=np.full((seeds, design.folds), 9),
    )  # fmt: skip
    values = optimism.compute(outcomes, copies, design, draws=20)
    values['stamps'] = [rundir.SIMULATED, 'LEAKS ON PURPOSE']
    versions = {'command': 'python -m fer_jax.studies leakage', 'jax': '0'}
    siblings = divisions.siblings(copies, design.folds)
    return leakage_page.write(values, siblings, {'folds': design.folds}, versions, out)


class Bands(nn.Module):
    """Class k where the k-th band of rows is bright; a transformer that turns the face a little."""

    num_classes: int
    transform: str = 'input'

    @nn.compact
    def __call__(self, frames, *, mask=None, length=None, train=False, dropout_rate=None):
        theta = jnp.array([[0.8, 0.1, 0.0], [-0.1, 0.8, 0.1]])
        self.sow('intermediates', 'theta', jnp.tile(theta, (len(frames), 1, 1)))
        nn.Conv(4, (3, 3, 3), name='conv1')(frames)
        bands = frames.mean((1, 3, 4)).reshape(len(frames), self.num_classes, -1)
        return 12 * bands.mean(-1)


def write_explain(run, out):
    """The page of a network that sees bands of 4 rows, each frame's brighter than the last's."""
    label = (np.arange(21) % 7).astype(np.int32)
    frames = np.full((21, 3, 28, 28, 1), 40, np.uint8)
    for clip, k in zip(frames, label, strict=True):
        clip[:, 4 * k : 4 * k + 4] += np.array([20, 80, 160], np.uint8)[:, None, None, None]
    names = {
        'subject': np.full(21, ''), 'clip_id': np.array([f'clip{i:02}' for i in range(21)]),
    }  # fmt: skip
    clips = ClipSet(
        name='bands', classes=run.predictions.classes, simulated=True, frames=frames,
        length=np.full(21, 3, np.int32), label=label, split=np.full(21, ''), **names,
    )  # fmt: skip
    none, one = np.zeros(0, int), np.ones((1, 1, 1), np.float32)
    member = Member(0, 0, Fold(none, none, np.arange(21)), 0, 0.0, 0.0, np.ones(7), 0 * one, one)
    system = System(Bands(7), {}, {'normalize': 'unit', 'channels': 1})
    params = system.model.init(jax.random.key(0), frames[:1] / 255)['params']
    fits = MemberFits(clips.classes, {})
    network = TrainedNetwork(
        run.path, 0, frames.shape[1:], 'none', system, 1, {'params': params}, fits
    )
    trained = Trained(run, member, clips, network)
    said = network.probabilities(frames, clips.length)
    first = np.zeros(1, np.int32)
    predictions = Predictions(
        probabilities=np.asarray(said, np.float16)[None, None],
        part=np.full((1, 21), TEST, np.int8), label=label, classes=clips.classes,
        fold=first, seed=first, epochs=first + 1, train_counts=np.ones((1, 7), int),
        duplicate=np.zeros((1, 21), np.int8), **names,
    )  # fmt: skip
    run = dataclasses.replace(run, predictions=predictions)
    trained = dataclasses.replace(trained, run=run)
    study = saliency.study(trained, saliency.choose(trained, 0), Windows.over((28, 28), 8, 4))
    return explain_page.write(trained, study, 'flip', out, {'command': 'python -m fer_jax.explain'})


PAGES = pytest.mark.parametrize(
    'name', ['run', 'comparison', 'ablations', 'laboratory', 'explain', 'ensemble']
)

BROKEN_IMAGES = '[...document.images].filter(i => !i.complete || !i.naturalWidth).map(i => i.alt)'
OVERFLOW = 'document.scrollingElement.scrollWidth - document.documentElement.clientWidth'
# Every column of every table clicked twice: what it then holds, and what it says it is sorted by.
SORTED = """
[...document.querySelectorAll('table[data-sortable]')].flatMap(table =>
  [...table.tHead.rows[0].cells].flatMap((title, column) => ['ascending', 'descending'].map(way => {
    title.querySelector('button').click();
    return {
      table: table.closest('figure').id, column: title.textContent, kind: title.dataset.kind, way,
      said: title.getAttribute('aria-sort'),
      marked: table.querySelectorAll('[aria-sort]').length,
      values: [...table.tBodies[0].rows].map(row => row.cells[column].dataset.value),
    };
  })))
"""


@PAGES
@pytest.mark.parametrize('size, scheme', [(DESKTOP, 'light'), (PHONE, 'dark')])
def test_a_page_opens_without_complaints_and_fits(browser, pages, name, size, scheme):
    browser.open(pages[name], size, scheme)
    assert browser.complaints() == []
    assert browser.evaluate(BROKEN_IMAGES) == []
    pictures = {'run': 'img', 'explain': 'svg image'}.get(name)
    if pictures:
        assert browser.evaluate(f'document.querySelectorAll("{pictures}").length') > 10
    assert browser.evaluate('document.querySelectorAll("svg").length') >= 3
    assert browser.evaluate(OVERFLOW) <= 0


@PAGES
def test_every_column_of_every_table_sorts_both_ways(browser, pages, name):
    browser.open(pages[name], DESKTOP)
    clicks = browser.evaluate(SORTED)
    assert len(clicks) >= 12
    for click in clicks:
        assert click['said'] == click['way'] and click['marked'] == 1, click
        known = [value for value in click['values'] if value != '']
        assert click['values'] == known + [''] * (len(click['values']) - len(known)), click
        if click['kind'] != 'text':
            numbers = [float(value) for value in known]
            assert numbers == sorted(numbers, reverse=click['way'] == 'descending'), click
    for up, down in zip(clicks[::2], clicks[1::2], strict=True):
        if len(set(up['values'])) == len(up['values']) and '' not in up['values']:
            assert up['values'] == down['values'][::-1], up  # sorting does something
    if name in ('run', 'comparison'):
        orders = {tuple(click['values']) for click in clicks if click['table'] == 'table-folds'}
        assert len(orders) > 5
    assert browser.complaints() == []


def test_what_has_no_number_is_last_both_ways(browser, tmp_path):
    rows = [{'a': value} for value in (0.2, None, 0.1, float('nan'), 0.3)]
    table = page.table(Table('gaps', '', (Column('a', 'A', SHARE),), rows), ())
    path = tmp_path / 'page.html'
    path.write_text(page.page('', '', (), [('gaps', 'Gaps', table)]), encoding='utf-8')
    browser.open(path, PHONE)
    ascending, descending = (click['values'] for click in browser.evaluate(SORTED))
    assert ascending == ['0.1', '0.2', '0.3', '', '']
    assert descending == ['0.3', '0.2', '0.1', '', '']


@PAGES
def test_text_stands_out_in_light_and_dark(browser, pages, name):
    for scheme in ('light', 'dark'):
        browser.open(pages[name], PHONE, scheme)
        for where in ('p', 'td', 'figcaption', '.stamp', 'svg text'):
            assert contrast(browser, where) >= 4.5, (scheme, where)


def contrast(browser, selector):
    """The contrast (WCAG 2.1) of the first such element's text to what lies under it."""
    colours = browser.evaluate(
        f"""(() => {{
        let e = document.querySelector({selector!r}), own = getComputedStyle(e), under;
        const ink = e.closest('svg') ? own.fill : own.color;
        for (; e; e = e.parentElement) {{
          under = getComputedStyle(e).backgroundColor;
          if (under !== 'rgba(0, 0, 0, 0)') break;
        }}
        return [ink, under]; }})()"""
    )
    light = []
    for colour in colours:
        channels = [float(c) / 255 for c in colour[colour.index('(') + 1 : -1].split(',')[:3]]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        light.append(0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2] + 0.05)
    return max(light) / min(light)


@PAGES
def test_on_paper_tables_are_whole_and_links_are_gone(browser, pages, name):
    browser.open(pages[name], DESKTOP, media='print')
    assert browser.evaluate('getComputedStyle(document.querySelector("nav")).display') == 'none'
    cut = browser.evaluate(
        '[...document.querySelectorAll(".scroll")].filter('
        'e => getComputedStyle(e).maxHeight !== "none").length'
    )
    assert cut == 0
    assert base64.b64decode(browser.call('Page.printToPDF')['data']).startswith(b'%PDF')
