"""Drawn people in drawn films, and a network that needs no training."""

import contextlib
import fractions
import importlib.util
import os
import signal
import subprocess
import sys
import textwrap
import types
from pathlib import Path

import av
import numpy as np
import pytest

from fer_jax.data import cropping
from fer_jax.predict import models
from fer_jax.predict.results import FilmResult
from fer_jax.simulation.people import expressions, face, identity, surroundings
from fer_jax.simulation.people.lighting import Light
from fer_jax.simulation.people.pose import Pose

WIDTH, HEIGHT = 160, 176
SHOWN = ('neutral', 'happiness', 'surprise', 'anger')
PLACE = {'x': 80.0, 'y': 76.0, 'scale': 34.0}


@pytest.fixture(scope='session')
def people():
    """Three people, each with a picture uint8 [176, 160, 3] of four expressions."""
    drawn = []
    for seed in (3, 11, 20):
        who = identity.sample(np.random.default_rng(seed))
        actor = face.prepare(who, PLACE['scale'], WIDTH, HEIGHT, 3)
        scene = surroundings.build(who, Pose(**PLACE), Light(), actor.size, seed)
        rng = np.random.default_rng(seed)
        drawn.append(
            [
                face.render(
                    actor,
                    expressions.combine(who.rest, expressions.sample(name, who, rng, rng).apex),
                    Pose(**PLACE),
                    scene=scene,
                    noise_seed=k,
                ).image
                for k, name in enumerate(SHOWN)
            ]
        )
    return drawn


@pytest.fixture(scope='session')
def scene():
    """Pastes pictures into one: ((picture, x, y), ...) -> uint8 [240, 480, 3]."""

    def paste(*parts, width=480, height=240):
        canvas = np.full((height, width, 3), 96, np.uint8)
        for picture, x, y in parts:
            left, top = max(0, x), max(0, y)
            cut = picture[top - y : height - y, left - x : max(0, width - x)]
            canvas[top : top + cut.shape[0], left : left + cut.shape[1]] = cut
        return canvas

    return paste


@pytest.fixture(scope='session')
def write_film():
    """Writes a film: (path, frames, fps=25, times=None, matrix=None, ...)."""

    def write(
        path, frames, *, fps=25, times=None, matrix=None, codec='libx264', pixels='yuv420p',
        sound=False, aspect=None, options=None,
    ):  # fmt: skip
        base = fractions.Fraction(1, 12800)
        with av.open(str(path), 'w', options=options or {}) as container:
            height, width = frames[0].shape[:2]
            stream = container.add_stream(codec, rate=fps, width=width, height=height)
            stream.pix_fmt = pixels
            stream.codec_context.time_base = base
            if codec == 'libx264':
                stream.options = {'crf': '12', 'preset': 'veryfast', 'threads': '1'}
            if aspect:
                stream.sample_aspect_ratio = fractions.Fraction(aspect)
            if matrix is not None:
                stream.set_display_matrix(matrix.ravel().tolist())
            voice = container.add_stream('aac', rate=16000, layout='mono') if sound else None
            for index, image in enumerate(frames):
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format='rgb24')
                seconds = index / fps if times is None else times[index]
                frame.pts, frame.time_base = round(seconds / base), base
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
            if voice is not None:
                tone = np.sin(np.arange(16000 * len(frames) // fps) * 0.17) * 9000
                samples = av.AudioFrame.from_ndarray(
                    tone.astype(np.int16)[None], format='s16', layout='mono'
                )
                samples.rate = 16000
                container.mux(voice.encode(samples))
                container.mux(voice.encode())
        return path

    return write


class BrightMouth:
    """Classifies by the brightness of three bands of a face: nothing is learnt."""

    name, digest, classes = 'bands', '0' * 64, ('forehead', 'middle', 'mouth')
    fit, threshold, notes = None, 0.4, ()

    def __init__(
        self, frames=1, size=24, seconds=0.0, sampling='uniform', stored=False, centred=False
    ):
        self.geometry = cropping.Geometry(frames, sampling, size, 1, 'none', 5, 1.0)
        self.framing, self.seconds, self.stored = models.YUNET, seconds, stored
        self.centred = centred
        self.seen = []

    def probabilities(self, clips, length):
        self.seen.append((clips.copy(), length.copy()))
        bands = clips.astype(np.float32).reshape(len(clips), len(clips[0]), 3, -1).mean((1, 3))
        odds = np.exp((bands - bands.mean(1, keepdims=True)) / 20)
        return odds / odds.sum(1, keepdims=True)


@pytest.fixture(scope='session')
def bands():
    """Makes a network of stills, or of sequences of so many frames."""
    return BrightMouth


@pytest.fixture(scope='session')
def made():
    """Makes a FilmResult: (track of each row, label of each row, fps=10, ...)."""

    def make(track, label, *, fps=10, classes=('calm', 'glad', 'sad'), times=None):
        """A FilmResult of rows whose labels are given, without smoothing."""
        track, label = np.array(track, np.int32), np.array(label)
        count = len(track)
        time = np.arange(count) / fps if times is None else np.array(times, float)
        p = np.full((count, len(classes)), 0.1, np.float32)
        p[np.arange(count), label] = 0.8
        p[label < 0] = np.nan
        box = np.tile(np.array([10, 10, 60, 80], np.float32), (count, 1))
        full = np.full(count, 0.5, np.float32)
        return FilmResult(
            tuple(classes), np.arange(count), time, np.zeros(count, np.int8), track, box,
            full, full, full * 0, time, p, p, 0.4,
        )  # fmt: skip

    return make


# Notes whom the process listens to and calls; networks need no training.
SERVER = """
import signal, sys
# A shell's background job, and whatever it starts, ignores Ctrl-C otherwise.
signal.signal(signal.SIGINT, signal.default_int_handler)
notes = open(sys.argv.pop(1), 'a', buffering=1)
def note(event, values):
    if event in ('socket.bind', 'socket.connect') and isinstance(values[1], tuple):
        print(event[7:], values[1][0], file=notes)
    elif event == 'socket.getaddrinfo' and values[0]:
        print('name', values[0], file=notes)
sys.addaudithook(note)
sys.path.insert(0, sys.argv.pop(1))
BrightMouth = __import__('tests.predict.conftest', fromlist=['it']).BrightMouth
from fer_jax import cli
from fer_jax.predict import networks
from fer_jax.predict.page import __main__ as command
def named(name):
    model = BrightMouth()
    model.name = name
    return model
networks.open_model = named
cli.run(command.main, command.define, '')
"""


@pytest.fixture(scope='session')
def page_server():
    """Starts the page's command with networks 'bands' and 'other': (folder, *flags, wait=True)."""
    if importlib.util.find_spec('gradio') is None:  # importing it leaves sockets open
        pytest.skip('gradio is not installed')

    @contextlib.contextmanager
    def start(folder, *flags, wait=True):
        files = folder / 'files'
        files.mkdir(parents=True)
        (folder / 'page.py').write_text(textwrap.dedent(SERVER))
        # Whoever says in the environment that it be shared is not obeyed.
        asked = {'TMPDIR': str(files), 'GRADIO_SHARE': 'True', 'GRADIO_SERVER_NAME': '0.0.0.0'}
        # Into a file: a pipe that nobody reads fills up, and then the process cannot end.
        with (folder / 'stderr').open('w+') as said:
            process = subprocess.Popen(
                [sys.executable, folder / 'page.py', folder / 'sockets', Path(__file__).parents[2]]
                + ['--model=bands,other', *(flags or ['--port=0'])],
                env=os.environ | asked, cwd=files, text=True, stdout=subprocess.PIPE, stderr=said,
            )  # fmt: skip
            try:
                address = process.stdout.readline().split('/  (')[0] if wait else ''
                started = not wait or address.startswith('http://127.0.0.1:')
                assert started, (folder / 'stderr').read_text()
                yield types.SimpleNamespace(
                    address=address, files=files, folder=folder, process=process
                )
            finally:
                if process.poll() is None:
                    process.send_signal(signal.SIGINT)
                    process.wait(60)
                process.stdout.close()

    return start
