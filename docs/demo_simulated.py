"""Draws the demo as a short animation: python docs/demo_simulated.py LOG RUN OUT.webp

LOG is what `bash launch/demo.sh` printed into a file, RUN the run that it made. Needs Chromium.
"""

import html
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

WIDTH, HEIGHT = 960, 420
LINES = 15  # that fit
STYLE = """
body { margin: 0; width: 960px; height: 420px; overflow: hidden; font: 15px/1.45 monospace;
       background: #16212b; color: #d7e0e8 }
pre { margin: 16px 22px; white-space: pre-wrap }
b { color: #7fd1b9; font-weight: normal }
"""


def steps(log: str) -> list[str]:
    """Picks the lines that tell the story: what was drawn, found, trained, and the results."""
    lines = [line.rstrip() for line in log.splitlines() if line.strip()]
    start = next(i for i, line in enumerate(lines) if 'training on simulated' in line)
    end = next(i for i, line in enumerate(lines) if line.startswith('report: '))
    told, last = [], ''
    for line in lines[start : end + 1]:
        if line.startswith(('starting', 'a step takes')):
            continue
        line = re.sub(r'/\S*/fer_jax/', '~/.local/share/fer_jax/', line)
        line = re.sub(r', ([\d,]+ clips/s, )?[\d:,]+( s)? left$', '', line)  # of that machine
        kind = ' '.join(line.split()[:2]) if line.startswith('fold') else line.split(':')[0]
        if kind == last:  # of lines that count the same thing the last stays
            told[-1] = line
        else:
            told.append(line)
        last = kind
    return told


def shoot(page: str, folder: Path) -> Image.Image:
    """Takes a picture of HTML as Chromium shows it."""
    source, picture = folder / 'page.html', folder / 'page.png'
    source.write_text(page, encoding='utf-8')
    chromium = shutil.which('chromium') or shutil.which('google-chrome')
    if not chromium:
        sys.exit('error: no Chromium is installed')
    subprocess.run(
        [chromium, '--headless', '--no-sandbox', '--hide-scrollbars', f'--screenshot={picture}',
         f'--window-size={WIDTH},{HEIGHT}', source.as_uri()],
        check=True, capture_output=True,
    )  # fmt: skip
    return Image.open(picture).convert('RGB').crop((0, 0, WIDTH, HEIGHT))


def main(log: Path, run: Path, out: Path) -> None:
    """Writes the animation: the terminal line by line, then the report from top to bottom."""
    told = ['<b>$ bash launch/demo.sh</b>', *map(html.escape, steps(log.read_text('utf-8')))]
    report = (run / 'report.html').resolve().as_uri()
    scenes: list[tuple[Image.Image, int]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for end in range(1, len(told) + 1):
            text = '\n'.join(told[max(0, end - LINES) : end])
            scenes.append((shoot(f'<style>{STYLE}</style><pre>{text}</pre>', folder), 350))
        scenes[-1] = scenes[-1][0], 2500
        for top in (0, 420, 840, 1260):
            frame = f'<iframe src="{report}" style="border:0;width:960px;height:3000px;' + (
                f'margin-top:-{top}px"></iframe>'
            )
            scenes.append((shoot(f'<style>body{{margin:0}}</style>{frame}', folder), 2000))
    pictures, times = zip(*scenes, strict=True)
    pictures[0].save(
        out, save_all=True, append_images=pictures[1:], duration=times, loop=0, quality=60
    )


if __name__ == '__main__':
    main(*map(Path, sys.argv[1:4]))
