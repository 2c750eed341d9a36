"""Pictures that look alike without being identical: perceptual hashes and pairs of near ones.

A frame's hash has one bit for each of its 64 lowest spatial frequencies: whether the coefficient of
its discrete cosine transform is positive. Brightness, contrast, resolution and small marks change
few bits; between two random faces of FER2013 the median is 31, the first percentile 20.
"""

import dataclasses
import itertools

import numpy as np

from fer_jax.data.clips import ClipSet

BITS = 64
# Frames are near when at most so many bits differ. Chosen by looking at pairs of FER2013: 1,188
# pairs of different pictures are that near, and five of the 100 least correlated of them show two
# people or two moments. At 5 or 6 bits four of 50 random pairs do, at 8 half of them.
NEAR = 4
IDENTICAL, NEARLY, MIRRORED = 1, 2, 3
# Frames transformed, and candidate pairs compared, at a time.
_BLOCK = 1024
_CANDIDATES = 1 << 21


@dataclasses.dataclass(frozen=True)
class Links:
    """Pairs of groups of identical clips, some frame of one being near some frame of the other.

    Attributes:
      one, other: int32 [link], groups as `leaks.duplicates` numbers them, one < other.
      frame, other_frame: int32 [link], the nearest two frames.
      distance: int32 [link], differing bits, 0 to NEAR.
      mirrored: bool [link], near only when one of them is flipped left to right.
    """

    one: np.ndarray
    other: np.ndarray
    frame: np.ndarray
    other_frame: np.ndarray
    distance: np.ndarray
    mirrored: np.ndarray


@dataclasses.dataclass(frozen=True)
class Matches:
    """For each clip of one part, the clip of another part that is most like it.

    Attributes:
      clip: int [match], clips of the tested part that have one, ascending.
      source: int [match], the clip that it is like.
      kind: int8 [match], IDENTICAL, NEARLY or MIRRORED, in this order of precedence.
      distance: int [match], differing bits; 0 for identical clips.
      frame, source_frame: int [match], the frames to compare.
    """

    clip: np.ndarray
    source: np.ndarray
    kind: np.ndarray
    distance: np.ndarray
    frame: np.ndarray
    source_frame: np.ndarray


def hashes(frames: np.ndarray) -> np.ndarray:
    """Computes perceptual hashes of frames of at least 9 x 9 pixels.

    The frequencies (u, v) are those of smallest u^2 + v^2 without the constant. A coefficient
    counts as positive above a thousandth of the root of the sum of squares of all 64, so that
    rounding sets no bit in symmetric pictures.

    Args:
      frames: uint8 [n, H, W, C], grey levels; channels are averaged.

    Returns:
      uint64 [n]; 0 for a frame of one grey level, which is never near another.
    """
    size = range(int(BITS**0.5) + 1)
    lowest = sorted(itertools.product(size, size), key=lambda f: (f[0] ** 2 + f[1] ** 2, f))
    u, v = np.array(lowest[1 : BITS + 1]).T
    rows, columns = (_cosines(side, len(size)) for side in frames.shape[1:3])
    found = [np.zeros(0, np.uint64)]
    for start in range(0, len(frames), _BLOCK):
        grey = frames[start : start + _BLOCK].mean(-1, dtype=np.float32)
        flat = grey.min((1, 2)) == grey.max((1, 2))
        coefficients = (rows @ grey @ columns.T)[:, u, v]
        level = 1e-3 * np.linalg.norm(coefficients, axis=1, keepdims=True)
        bits = np.packbits((coefficients > level) & ~flat[:, None], axis=1)
        found.append(np.ascontiguousarray(bits).view('>u8')[:, 0].astype(np.uint64))
    return np.concatenate(found)


def _cosines(side: int, count: int) -> np.ndarray:
    """Returns the first `count` rows of the orthonormal DCT-II over `side` samples, float32."""
    angle = np.pi * (2 * np.arange(side) + 1) / (2 * side)
    cosines = np.cos(np.arange(count)[:, None] * angle) * np.sqrt(2 / side)
    cosines[0] /= np.sqrt(2)
    return cosines.astype(np.float32)


def near(one: np.ndarray, other: np.ndarray, distance: int = NEAR) -> np.ndarray:
    """Finds all pairs of hashes that differ in at most `distance` bits.

    Hashes are cut into distance + 1 bands: near ones agree in at least one, so only those that
    share a band are compared, and none is missed.

    Args:
      one, other: uint64 [n] and [m].

    Returns:
      int64 [pair, 3]: position in `one`, in `other`, and differing bits; in that order, each once.
    """
    bounds = np.linspace(0, BITS, distance + 2).astype(int).tolist()
    found = [np.zeros((0, 3), np.int64)]
    for low, high in itertools.pairwise(bounds):
        mask = np.uint64((1 << (high - low)) - 1)
        band, other_band = (one >> np.uint64(low)) & mask, (other >> np.uint64(low)) & mask
        order = np.argsort(other_band, kind='stable')
        first, last = (np.searchsorted(other_band[order], band, side) for side in ('left', 'right'))
        ends = np.cumsum(last - first)
        start = 0
        while start < len(one):  # as many of `one` at a time as have few enough candidates
            before = ends[start - 1] if start else 0
            stop = max(start + 1, int(np.searchsorted(ends, before + _CANDIDATES, 'right')))
            count = (last - first)[start:stop]
            i = np.repeat(np.arange(start, stop), count)
            within = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
            j = order[first[i] + within]
            bits = np.bitwise_count(one[i] ^ other[j])
            close = bits <= distance
            found.append(np.stack([i[close], j[close], bits[close]], axis=1))
            start = stop
    return np.unique(np.concatenate(found), axis=0)


def links(clips: ClipSet, groups: np.ndarray) -> Links:
    """Finds pairs of groups of identical clips that look alike, as they are or mirrored.

    Args:
      groups: int [N], from `leaks.duplicates`.
    """
    _, clip = np.unique(groups, return_index=True)
    owner = np.repeat(np.arange(len(clip)), clips.length[clip])
    frame = np.concatenate([np.arange(n) for n in clips.length[clip]])
    pictures = clips.frames[clip[owner], frame]
    straight, flipped = hashes(pictures), hashes(pictures[:, :, ::-1])
    known = np.flatnonzero(straight)
    rows = []
    for hashed in (straight, flipped):
        found = near(straight[known], hashed[known])
        i, j = known[found[:, 0]], known[found[:, 1]]
        mirrored = np.full(len(i), hashed is flipped)
        row = np.stack([owner[i], owner[j], mirrored, found[:, 2], frame[i], frame[j]], axis=1)
        rows.append(row[owner[i] < owner[j]])
    rows = np.concatenate(rows)
    # The nearest frames of two groups, mirrored only where nothing is near as it is.
    rows = rows[np.lexsort(rows.T[::-1])]
    _, nearest = np.unique(rows[:, :2], axis=0, return_index=True)
    one, other, mirrored, bits, frame, other_frame = rows[nearest].T.astype(np.int32)
    return Links(one, other, frame, other_frame, bits, mirrored.astype(bool))


def matches(groups: np.ndarray, links: Links, source: np.ndarray, judged: np.ndarray) -> Matches:
    """Finds for each judged clip the source clip that is identical to it, else the nearest one.

    Args:
      groups: int [N].
      source, judged: int [clip], two parts of a fold, e.g. training and test.
    """
    member = np.full(groups.max() + 1, -1)  # the first source clip of each group
    member[groups[source[::-1]]] = source[::-1]
    # Every link in both directions, from the worst to the best: of several the last one stays.
    kind = np.where(links.mirrored, MIRRORED, NEARLY)
    forth = [links.one, links.other, kind, links.distance, links.other_frame, links.frame]
    back = [links.other, links.one, kind, links.distance, links.frame, links.other_frame]
    rows = np.concatenate([np.stack(forth, axis=1), np.stack(back, axis=1)])
    rows = rows[member[rows[:, 0]] >= 0]
    rows = rows[np.lexsort(rows.T[[0, 3, 2]])[::-1]]
    best = np.zeros((len(member), 5), int)  # by group: source, kind, distance, the two frames
    best[rows[:, 1], 0] = member[rows[:, 0]]
    best[rows[:, 1], 1:] = rows[:, 2:]
    same = member >= 0
    best[same] = 0
    best[same, 0], best[same, 1] = member[same], IDENTICAL
    judged = np.sort(judged)
    judged = judged[best[groups[judged], 1] > 0]
    found, kind, distance, frame, source_frame = best[groups[judged]].T
    return Matches(judged, found, kind.astype(np.int8), distance, frame, source_frame)
