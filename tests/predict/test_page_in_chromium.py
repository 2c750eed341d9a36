"""The page in a real browser: a film, a picture and the camera, and no request to elsewhere."""

import json
import time
import urllib.parse

import cv2
import pytest

from tests.browser import CHROMIUM, Browser

pytestmark = [pytest.mark.chromium, pytest.mark.slow]

DESKTOP, PHONE = (1280, 900), (390, 844)
# The last button with a text that is seen; tabs are there twice, to be measured.
BUTTON = """[...document.querySelectorAll('button')].filter((button) =>
  button.checkVisibility({ visibilityProperty: true }) && button.textContent.trim() === 'TEXT'
).at(-1)"""


@pytest.fixture(scope='module')
def server(page_server, tmp_path_factory):
    if CHROMIUM is None:
        pytest.skip('no chromium here; on Debian: apt-get install -y chromium')
    with page_server(tmp_path_factory.mktemp('server')) as server:
        yield server


@pytest.fixture(scope='module')
def watcher(tmp_path_factory, people, scene):
    """A Chromium whose camera shows a drawn film; in the end its log names no other host."""
    folder = tmp_path_factory.mktemp('camera')
    shown = [scene((people[0][k // 15], 20 + k, 30), width=640, height=360) for k in range(60)]
    frames = [cv2.imencode('.jpg', image[..., ::-1])[1].tobytes() for image in shown]
    (folder / 'camera.mjpeg').write_bytes(b''.join(frames))
    browser = Browser(
        folder / 'profile',
        '--use-fake-ui-for-media-stream',
        '--use-fake-device-for-media-stream',
        f'--use-file-for-fake-video-capture={folder / "camera.mjpeg"}',
        f'--log-net-log={folder / "network.json"}',
        '--disable-background-networking',
        '--disable-component-update',
    )
    yield browser
    browser.close()
    log = json.loads((folder / 'network.json').read_text())
    kinds = log['constants']['logEventTypes']
    # What Chromium asks for itself has no origin.
    asked = [
        event['params']['url']
        for event in log['events']
        if event['type'] == kinds['URL_REQUEST_START_JOB']
        and event.get('params', {}).get('initiator', 'not an origin') != 'not an origin'
    ]
    assert len(asked) > 20
    assert {urllib.parse.urlsplit(url).hostname for url in asked} == {'127.0.0.1'}


def wait(browser, script, seconds=60):
    until = time.monotonic() + seconds
    whole = f'(() => {{ try {{ return {script} }} catch {{ return false }} }})()'
    while not browser.evaluate(whole):
        said = browser.evaluate('document.body?.innerText')
        assert time.monotonic() < until, f'{script}: {said}'
        time.sleep(0.2)


def press(browser, text):
    button = BUTTON.replace('TEXT', text)
    wait(browser, f'Boolean({button})')
    browser.evaluate(f'{button}.click()')


def give(browser, path):
    """Chooses a file for the upload until it is there; one that is emptied just then forgets it."""
    there = f'document.body.innerText.includes({path.stem!r})'
    for _ in range(6):
        root = browser.call('DOM.getDocument', depth=-1)['root']['nodeId']
        field = browser.call('DOM.querySelector', nodeId=root, selector='input[type=file]')
        if field['nodeId']:
            browser.call('DOM.setFileInputFiles', files=[str(path)], nodeId=field['nodeId'])
        until = time.monotonic() + 10
        while time.monotonic() < until:
            if browser.evaluate(there):
                return
            time.sleep(0.2)
    raise AssertionError(f'{path} was not taken')


# The frame with the film's page is there and has told its height.
FRAME = "parseFloat(document.querySelector('iframe.fer-jax')?.style.height) > 400"
# What the frame with the film's page shows.
SHOWN = """({ text: document.body.innerText, bands: document.querySelectorAll('polygon').length,
  film: document.getElementById('shown').videoWidth })"""


def check(browser, size):
    """Nothing failed, and nothing is wider than the screen."""
    said = [each for each in browser.complaints() if each.get('type') != 'warning']
    assert not said  # Gradio warns of a method of its own that is not there
    width = browser.call('Page.getLayoutMetrics')['cssContentSize']['width']
    assert width <= size[0]


@pytest.mark.parametrize('size', [DESKTOP, PHONE])
def test_a_film_and_a_picture(watcher, server, people, scene, write_film, tmp_path, size):
    images = [scene((people[0][k // 10], 20 + k, 30)) for k in range(40)]
    film = write_film(tmp_path / 'drawn.mp4', images)
    cv2.imwrite(str(tmp_path / 'portrait.png'), images[0][..., ::-1])
    watcher.open(server.address, size)
    wait(watcher, "document.body.innerText.includes('Article 5(1)(f)')")
    give(watcher, film)
    press(watcher, 'Look at the file')
    wait(watcher, "document.body.innerText.includes('40 frames, 40 with a face, 1 person')")
    # A frame below the screen does not draw, and so tells no height.
    wait(watcher, "(document.querySelector('iframe.fer-jax').scrollIntoView(), true)")
    wait(watcher, FRAME)
    inside = watcher.evaluate_in_frame(SHOWN)
    assert 'person 1' in inside['text'] and inside['bands'] == 3 and inside['film'] == 480
    for name in ('drawn.csv', 'drawn.overlay.mp4', 'drawn.html'):
        listed = watcher.evaluate('document.getElementById("files").textContent')
        assert name in ''.join(listed.split())
    give(watcher, tmp_path / 'portrait.png')
    press(watcher, 'Look at the file')
    wait(watcher, "document.body.innerText.includes('portrait.png: 1 face')")
    wait(watcher, '[...document.images].some((image) => image.naturalWidth === 480)')
    check(watcher, size)
    assert not list(server.files.rglob('portrait.png')) and not list(
        server.files.rglob('drawn.mp4')
    )


def test_the_camera(watcher, server):
    watcher.open(server.address, DESKTOP)
    press(watcher, 'Camera')
    press(watcher, 'Click to Access Webcam')
    press(watcher, 'Record')
    time.sleep(3)
    press(watcher, 'Stop')
    wait(watcher, "document.querySelector('video')?.src.includes('file=')")
    press(watcher, 'Look at the recording')
    wait(watcher, '/[1-9][0-9]* frames, [1-9][0-9]* with a face/.test(document.body.innerText)')
    wait(watcher, FRAME)
    assert 'person 1' in watcher.evaluate_in_frame(SHOWN)['text']
    check(watcher, DESKTOP)
    assert not list(server.files.rglob('*.webm'))
