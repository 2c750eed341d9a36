"""The pages in a real browser: no errors, images loaded, tables sort, a phone's width is enough."""

import base64
import fcntl
import itertools
import json
import os
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fer_jax.evaluation import comparison, comparison_page, page, report, rundir
from fer_jax.evaluation.tables import SHARE, Column, Table

pytestmark = pytest.mark.chromium

CHROMIUM = shutil.which('chromium') or shutil.which('chromium-browser')
DESKTOP, PHONE = (1280, 900), (390, 844)
SECONDS = 120  # a machine that trains as well is slow to start a browser

# Chromium reads commands from descriptor 3 and writes answers to 4, each ended by a zero byte.
LAUNCH = (
    'import os, sys; os.dup2({read}, 3); os.dup2({write}, 4); os.execv(sys.argv[1], sys.argv[1:])'
)


class Browser:
    """One page of a headless Chromium, driven over its DevTools protocol; keeps what it reports."""

    def __init__(self, profile: Path):
        pipes = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in (*os.pipe(), *os.pipe())]
        child_read, self._write, self._read, child_write = pipes
        self.process = subprocess.Popen(
            [
                sys.executable, '-c', LAUNCH.format(read=child_read, write=child_write), CHROMIUM,
                '--headless', '--remote-debugging-pipe', f'--user-data-dir={profile}',
                '--no-first-run', '--disable-gpu', '--hide-scrollbars', '--disable-dev-shm-usage',
                *['--no-sandbox'] * (os.geteuid() == 0), 'about:blank',
            ],
            pass_fds=(child_read, child_write), stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(child_read)
        os.close(child_write)
        self._numbers, self._buffer, self.events = itertools.count(1), b'', []
        self._session = None
        targets = self.call('Target.getTargets')['targetInfos']
        page = next(target['targetId'] for target in targets if target['type'] == 'page')
        attached = self.call('Target.attachToTarget', targetId=page, flatten=True)
        self._session = attached['sessionId']
        for domain in ('Page', 'Runtime', 'Log'):
            self.call(f'{domain}.enable')

    def call(self, method, **parameters):
        """Sends a command and returns its result; events that come before it are kept."""
        number = next(self._numbers)
        message = {'id': number, 'method': method, 'params': parameters}
        if self._session:
            message['sessionId'] = self._session
        os.write(self._write, json.dumps(message).encode() + b'\0')
        while True:
            answer = self._next()
            if answer.get('id') == number:
                assert 'error' not in answer, answer
                return answer['result']
            self.events.append(answer)

    def _next(self):
        until = time.monotonic() + SECONDS
        while b'\0' not in self._buffer:
            ready, _, _ = select.select([self._read], [], [], max(0, until - time.monotonic()))
            assert ready, f'Chromium said nothing for {SECONDS} seconds'
            data = os.read(self._read, 1 << 16)
            assert data, 'Chromium has ended'
            self._buffer += data
        message, _, self._buffer = self._buffer.partition(b'\0')
        return json.loads(message)

    def open(self, path, size, scheme='light', media='screen'):
        """Loads a file at a width and height in CSS pixels, in a colour scheme."""
        self.events.clear()
        self.call(
            'Emulation.setDeviceMetricsOverride', width=size[0], height=size[1],
            deviceScaleFactor=1, mobile=size[0] < 600,
        )  # fmt: skip
        features = [{'name': 'prefers-color-scheme', 'value': scheme}]
        self.call('Emulation.setEmulatedMedia', media=media, features=features)
        self.call('Page.navigate', url=path.resolve().as_uri())
        while not any(event['method'] == 'Page.loadEventFired' for event in self.events):
            self.events.append(self._next())

    def evaluate(self, script):
        """The value of a JavaScript expression."""
        result = self.call('Runtime.evaluate', expression=script, returnByValue=True)
        assert 'exceptionDetails' not in result, result
        return result['result'].get('value')

    def complaints(self):
        """Exceptions, console messages and the browser's own log since the page was opened."""
        self.evaluate('0')  # whatever was said before has arrived
        said = {'Runtime.exceptionThrown', 'Runtime.consoleAPICalled', 'Log.entryAdded'}
        return [event['params'] for event in self.events if event['method'] in said]

    def close(self):
        """Ends the browser."""
        self._session = None
        self.call('Browser.close')
        self.process.wait(SECONDS)
        os.close(self._write)
        os.close(self._read)


@pytest.fixture(scope='module')
def browser(tmp_path_factory):
    """A headless Chromium."""
    if CHROMIUM is None:
        pytest.skip('no chromium here; on Debian: apt-get install -y chromium')
    browser = Browser(tmp_path_factory.mktemp('profile'))
    yield browser
    browser.close()


@pytest.fixture(scope='module')
def pages(tmp_path_factory, finished_run, other_run):
    """A run's report, and a comparison of two runs."""
    out = tmp_path_factory.mktemp('pages')
    values = comparison.compute([rundir.load(finished_run), rundir.load(other_run)])
    return {
        'run': report.write_report(finished_run, out / 'report'),
        'comparison': comparison_page.write(values, out / 'comparison'),
    }


PAGES = pytest.mark.parametrize('name', ['run', 'comparison'])

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
    assert browser.evaluate('document.images.length') > 10 or name == 'comparison'
    assert browser.evaluate('document.querySelectorAll("svg").length') >= 3
    assert browser.evaluate(OVERFLOW) <= 0


@PAGES
def test_every_column_of_every_table_sorts_both_ways(browser, pages, name):
    browser.open(pages[name], DESKTOP)
    clicks = browser.evaluate(SORTED)
    assert len(clicks) > 20
    for click in clicks:
        assert click['said'] == click['way'] and click['marked'] == 1, click
        known = [value for value in click['values'] if value != '']
        assert click['values'] == known + [''] * (len(click['values']) - len(known)), click
        if click['kind'] != 'text':
            numbers = [float(value) for value in known]
            assert numbers == sorted(numbers, reverse=click['way'] == 'descending'), click
    orders = {tuple(click['values']) for click in clicks if click['table'] == 'table-folds'}
    assert len(orders) > 5  # sorting does something
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
