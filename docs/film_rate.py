"""Measures whether a long film is predicted as fast at its end as at its start.

    python docs/film_rate.py FILM [MINUTES]

The film is copied behind itself, without coding it anew, until it is MINUTES long (60), and then
predicted with the network `small`, as `python -m fer_jax.predict` does. Printed for each sixth of
it: the processor's seconds of this process for a minute of film, which other processes change
little, and its memory. The machine's clock would tell of the others as well.
"""

import itertools
import sys
import tempfile
import time
from pathlib import Path

import av

from fer_jax import host, runtime
from fer_jax.predict import jobs, networks
from fer_jax.predict.films import Film
from fer_jax.predict.jobs import Options

PARTS = 6


def repeat(film: Path, minutes: float, out: Path) -> None:
    """Writes a film's pictures again and again until they last so many minutes."""
    with av.open(str(film)) as source, av.open(str(out), 'w') as target:
        pictures = source.streams.video[0]
        stream = target.add_stream_from_template(pictures)
        assert pictures.time_base is not None and pictures.duration is not None
        wanted = minutes * 60 / float(pictures.time_base)
        for number in itertools.count():
            shift = number * pictures.duration
            if shift >= wanted:
                return
            source.seek(0)
            for packet in source.demux(pictures):
                if packet.pts is None or packet.dts is None:
                    continue
                packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
                packet.stream = stream
                target.mux(packet)


def memory(name: str) -> float:
    """Reads VmRSS or VmHWM of this process, in GB."""
    lines = Path('/proc/self/status').read_text(encoding='utf-8').splitlines()
    (line,) = [line for line in lines if line.startswith(f'{name}:')]
    return int(line.split()[1]) * 1024 / 1e9


def main() -> None:
    """Predicts the long film and prints what it took."""
    film, minutes = Path(sys.argv[1]), float(sys.argv[2] if len(sys.argv) > 2 else 60)
    host.keep_buffers()
    runtime.prepare()
    with tempfile.TemporaryDirectory() as folder:
        long = Path(folder) / 'long.mp4'
        repeat(film, minutes, long)
        opened = Film.open(long)
        part = opened.seconds / PARTS
        marks: dict[str, list[tuple[float, float, float, float]]] = {}

        def show(stage: str, done: float) -> None:
            """Notes film seconds, processor seconds, clock and memory once a part."""
            own = marks.setdefault(stage, [])
            if done >= len(own) * part - 1 and len(own) <= PARTS:
                own.append((done, time.process_time(), time.monotonic(), memory('VmRSS')))

        about = jobs.predict_film(
            opened, Path(folder) / 'long', networks.open_model('small'), Options(), progress=show
        )
    print(f'{opened.seconds / 60:.1f} minutes, {about["counts"]["frames"]} frames')
    for stage, own in marks.items():
        for before, after in itertools.pairwise(own):
            span = (after[0] - before[0]) / 60
            print(
                f'{stage}, up to minute {after[0] / 60:5.1f}: '
                f'{(after[1] - before[1]) / span:6.2f} processor seconds a minute of film, '
                f'{(after[2] - before[2]) / span:6.2f} by the clock, {after[3]:.2f} GB'
            )
    print(f'{memory("VmHWM"):.2f} GB at most, {about["seconds_taken"]["all"]:.0f} s in all')


if __name__ == '__main__':
    main()
