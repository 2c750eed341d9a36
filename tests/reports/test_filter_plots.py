"""The drawing of filters: which, in which order, in which grey."""

import base64
import io
import re

import numpy as np
from PIL import Image

from fer_jax.reports import filter_plots


def picture(svg):
    """The picture inside an SVG, [height, width, 4]."""
    data = re.search(r'href="data:image/png;base64,\s*([^"]+)"', svg).group(1)
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert('RGBA'))


def test_filters_are_rows_of_every_other_frame():
    patterns = np.zeros((30, 10, 16, 16))
    patterns[:, :, 0, 0] = -0.5
    patterns[1, 2, 3, 4] = 2.0
    drawing = filter_plots.filters(patterns, ('SIMULATED FACES',))
    assert '24 of 30 filters' in drawing.caption and 'frames 1, 3, 5, 7 and 9 ' in drawing.caption
    assert 'SIMULATED FACES' in drawing.svg
    rows = [line.split(',') for line in drawing.csv.splitlines() if line[:1].isdigit()]
    assert len(rows) == 24 * 5 * 256
    (strongest,) = [row for row in rows if float(row[4]) == 2]
    assert strongest[:4] == ['1', '2', '3', '4']


def test_the_strongest_weight_is_white_or_black_and_none_is_grey():
    patterns = np.zeros((3, 10, 16, 16))
    patterns[0, 0] = -0.5
    patterns[1, 8, 3, 4] = 2.0
    sheet = filter_plots._sheet(patterns[:, ::2] / np.array([0.5, 2, 1]).reshape(3, 1, 1, 1))
    # Two beside one another, five frames each, two pixels between; the third below the first.
    assert sheet.shape == (16 + 4 + 16, (5 * 18 + 8) + 5 * 18 - 2, 4)
    assert (sheet[:16, :16] == [0, 0, 0, 255]).all()
    assert (sheet[:16, 16:18, 3] == 0).all()
    last = 98 + 4 * 18
    assert (sheet[3, last + 4] == 255).all()
    assert (sheet[0, last, :3] == 128).all() and (sheet[20:36, :16, :3] == 128).all()
    assert (sheet[20:36, 98:, 3] == 0).all()  # no fourth


def test_one_filter_of_zeros_is_grey():
    drawing = filter_plots.filters(np.zeros((1, 2, 4, 4)), ())
    shown = picture(drawing.svg)
    assert drawing.caption.startswith('1 filter') and set(shown[shown[..., 3] > 0][:, 0]) == {128}
