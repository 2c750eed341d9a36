"""Found faces are not looked for twice, and nothing else is taken for them."""

import numpy as np
import pytest

from fer_jax.data.datasets import records
from fer_jax.data.faces import cache, detector


class Middle(detector.Detector):
    """The face is where the picture is brightest; counts the clips it looked at."""

    NAME = 'middle'

    def __init__(self, package='middle 1', **options):
        super().__init__(package, **options)
        self.clips = 0

    def find(self, frames):
        self.clips += 1
        return super().find(frames)

    def boxes(self, image):
        y, x = np.unravel_index(image[:, :, 0].argmax(), image.shape[:2])
        return np.array([[x - 2, y - 2, x + 2, y + 2]], np.float64)


@pytest.fixture
def clip():
    return list(np.random.default_rng(0).integers(0, 255, (7, 20, 30, 1)).astype(np.uint8))


def equal(one: records.Faces, other: records.Faces) -> bool:
    return np.array_equal(one.box, other.box, equal_nan=True) and np.array_equal(
        one.landmarks, other.landmarks, equal_nan=True
    )


def test_a_clip_is_looked_at_once(clip, tmp_path):
    first = cache.Cached(Middle(), tmp_path / 'found')
    found = first.find(clip)
    assert equal(found, Middle().find(clip)) and len(first) == 1
    later = Middle()
    again = cache.Cached(later, tmp_path / 'found')
    assert equal(again.find(clip), found) and later.clips == 0
    assert not list((tmp_path / 'found').glob('*.part'))


@pytest.mark.parametrize(
    'change',
    [
        lambda clip: clip[:-1],
        lambda clip: clip[::-1],
        lambda clip: [*clip[:-1], clip[-1] ^ 1],  # a file of the same size with other content
        lambda clip: [frame.reshape(30, 20, 1) for frame in clip],
    ],
)
def test_another_clip_is_looked_at(clip, tmp_path, change):
    cache.Cached(Middle(), tmp_path).find(clip)
    other = Middle()
    changed = change(clip)
    assert equal(cache.Cached(other, tmp_path).find(changed), Middle().find(changed))
    assert other.clips == 1


def test_another_detector_looks_for_itself(clip, tmp_path):
    (tmp_path / 'learnt').write_text('a')
    kept = cache.Cached(Middle(), tmp_path / 'found')
    kept.find(clip)
    for other in (Middle('middle 2'), Middle(sure=2)):
        cache.Cached(other, tmp_path / 'found').find(clip)
        assert other.clips == 1
    assert len(kept) == 3


def test_what_was_cut_off_is_looked_for_again(clip, tmp_path):
    found = cache.Cached(Middle(), tmp_path).find(clip)
    (file,) = tmp_path.glob('*.npz')
    for content in (b'', file.read_bytes()[:100], b'nothing of the kind'):
        file.write_bytes(content)
        other = Middle()
        assert equal(cache.Cached(other, tmp_path).find(clip), found) and other.clips == 1
