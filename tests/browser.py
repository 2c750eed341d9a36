"""A headless Chromium for tests of pages, driven over its DevTools protocol."""

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

CHROMIUM = shutil.which('chromium') or shutil.which('chromium-browser')
SECONDS = 120  # a machine that trains as well is slow to start a browser

# Chromium reads commands from descriptor 3 and writes answers to 4, each ended by a zero byte.
LAUNCH = (
    'import os, sys; os.dup2({read}, 3); os.dup2({write}, 4); os.execv(sys.argv[1], sys.argv[1:])'
)


class Browser:
    """One page of a headless Chromium, driven over its DevTools protocol; keeps what it reports."""

    def __init__(self, profile: Path, *arguments: str):
        pipes = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in (*os.pipe(), *os.pipe())]
        child_read, self._write, self._read, child_write = pipes
        self.process = subprocess.Popen(
            [
                sys.executable, '-c', LAUNCH.format(read=child_read, write=child_write), CHROMIUM,
                '--headless', '--remote-debugging-pipe', f'--user-data-dir={profile}',
                '--no-first-run', '--disable-gpu', '--hide-scrollbars', '--disable-dev-shm-usage',
                *['--no-sandbox'] * (os.geteuid() == 0), *arguments, 'about:blank',
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

    def open(self, place, size, scheme='light', media='screen'):
        """Loads a file, or an address, at a width and height in CSS pixels, in a colour scheme."""
        self.events.clear()
        self.call(
            'Emulation.setDeviceMetricsOverride', width=size[0], height=size[1],
            deviceScaleFactor=1, mobile=size[0] < 600,
        )  # fmt: skip
        features = [{'name': 'prefers-color-scheme', 'value': scheme}]
        self.call('Emulation.setEmulatedMedia', media=media, features=features)
        self.call(
            'Page.navigate', url=place if isinstance(place, str) else place.resolve().as_uri()
        )
        while not any(event['method'] == 'Page.loadEventFired' for event in self.events):
            self.events.append(self._next())

    def evaluate(self, script):
        """The value of a JavaScript expression."""
        result = self.call('Runtime.evaluate', expression=script, returnByValue=True)
        assert 'exceptionDetails' not in result, result
        return result['result'].get('value')

    def evaluate_in_frame(self, script):
        """The value of a JavaScript expression in the sandboxed frame, a process of its own."""
        whole = self._session
        try:
            self._session = None
            targets = self.call('Target.getTargets')['targetInfos']
            frame = [target['targetId'] for target in targets if target['type'] == 'iframe'][-1]
            attached = self.call('Target.attachToTarget', targetId=frame, flatten=True)
            self._session = attached['sessionId']
            return self.evaluate(script)
        finally:
            self._session = whole

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
