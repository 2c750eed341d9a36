"""Views of training clips: rows (clip index, affine, contrast) instead of copied frames.

An affine maps an OUTPUT pixel (x, y, 1) to an INPUT pixel (x, y), pixel centres at integers, as
cv2.warpAffine does with WARP_INVERSE_MAP. Flips, rotations, shifts and scalings are affines, so a
step needs one warp whatever the augmentation. Views are made from a fold's training clips only,
after the split: augmenting before splitting cannot be written.
"""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from fer_jax.errors import UserError


@dataclasses.dataclass(frozen=True)
class Views:
    """A table of views.

    Attributes:
      clip: int32 [view], index of the clip.
      affine: float32 [view, 2, 3], output to input pixels.
      contrast: float32 [view], multiplier a in 127 + a (v - 127); 1 leaves the frame as it is.
    """

    clip: np.ndarray
    affine: np.ndarray
    contrast: np.ndarray

    def __len__(self) -> int:
        return len(self.clip)


def affines(
    size: tuple[int, int],
    flip: np.ndarray,
    degrees: np.ndarray,
    shift: np.ndarray,
    scale: np.ndarray,
) -> np.ndarray:
    """Returns affines that flip, then scale, rotate and shift the content about the image's centre.

    Args:
      size: height and width in pixels.
      flip: bool [view].
      degrees: float [view], counter-clockwise.
      shift: float [view, 2], x and y in pixels (positive: to the right, down).
      scale: float [view], above 1 enlarges.

    Returns:
      float32 [view, 2, 3].
    """
    height, width = size
    centre = np.array([(width - 1) / 2, (height - 1) / 2])
    cos, sin = np.cos(np.deg2rad(degrees)) / scale, np.sin(np.deg2rad(degrees)) / scale
    linear = np.stack([np.stack([cos, -sin], -1), np.stack([sin, cos], -1)], -2)
    offset = centre - np.einsum('vij,vj->vi', linear, centre + shift)
    matrix = np.concatenate([linear, offset[..., None]], axis=-1)
    # The flip is undone last on the way back to the input: x -> (width - 1) - x.
    flipped = np.concatenate([[[-1.0]], [[1.0]]]) * matrix
    flipped[:, 0, 2] += width - 1
    return np.where(np.asarray(flip)[:, None, None], flipped, matrix).astype(np.float32)


def identity(clip: np.ndarray) -> Views:
    """Returns each clip once, unchanged: for validation, test and unaugmented training."""
    n = len(clip)
    eye = np.tile(np.array([[1, 0, 0], [0, 1, 0]], np.float32), (n, 1, 1))
    return Views(np.asarray(clip, np.int32), eye, np.ones(n, np.float32))


def by_class_counts(
    clip: np.ndarray,
    label: np.ndarray,
    classes: Sequence[str],
    size: tuple[int, int],
    rng: np.random.Generator,
    *,
    counts: Mapping[str, Mapping[str, int]],
    rotation: float,
    contrast: tuple[float, float],
) -> Views:
    """Returns originals and copies by class: flips, rotations, contrasts (haddad2020, sec. 4.1).

    One draw makes all frames of a copy. The published counts make 1,722 views of CK+'s 327 clips.

    Args:
      clip: int [clip], the training clips.
      label: int [clip], their classes.
      counts: class name -> {'flip', 'rotation', 'contrast'} -> copies.
      rotation: largest angle in degrees, drawn from [-rotation, rotation].
      contrast: range of the multiplier.
    """
    missing = sorted({classes[int(k)] for k in np.unique(label)} - set(counts))
    if missing:
        raise UserError(f'augment.class_counts.counts has no row for {", ".join(missing)}: add it')
    rows = []  # (clip, flip, degrees, contrast)
    for index, k in zip(clip, label, strict=True):
        copies = counts[classes[int(k)]]
        rows.append((index, False, 0.0, 1.0))
        rows += [(index, True, 0.0, 1.0)] * copies['flip']
        rows += [
            (index, False, d, 1.0) for d in rng.uniform(-rotation, rotation, copies['rotation'])
        ]
        rows += [(index, False, 0.0, a) for a in rng.uniform(*contrast, copies['contrast'])]
    index, flip, degrees, factor = (np.array(column) for column in zip(*rows, strict=True))
    matrix = affines(size, flip, degrees, np.zeros((len(rows), 2)), np.ones(len(rows)))
    return Views(index.astype(np.int32), matrix, factor.astype(np.float32))


def fixed(
    clip: np.ndarray, size: tuple[int, int], *, angles: Sequence[float], mirrored: bool
) -> Views:
    """Returns each clip under every angle, the same in every epoch (saurav2020, sec. IV-B).

    Its six angles with 0 and their mirror images make 14 views of a clip of CK+, its four with 0
    make 10 of a clip of SAVEE or AFEW.

    Args:
      clip: int [clip].
      size: height and width in pixels.
      angles: degrees, counter-clockwise; 0 is the original, which is a view only where it is named.
      mirrored: each of these views is flipped horizontally besides.
    """
    if not len(angles):
        raise UserError('augment.fixed.angles is empty: name at least one, 0 for the original')
    degrees, flip = np.array(angles, float), np.zeros(len(angles), bool)
    if mirrored:
        # Mirrored after it has turned by an angle is turned by the opposite one after mirroring.
        degrees, flip = np.concatenate([degrees, -degrees]), np.repeat([False, True], len(angles))
    n = len(degrees)
    matrix = affines(size, flip, degrees, np.zeros((n, 2)), np.ones(n))
    index = np.repeat(np.asarray(clip, np.int32), n)
    return Views(index, np.tile(matrix, (len(clip), 1, 1)), np.ones(len(index), np.float32))


def random(
    clip: np.ndarray,
    size: tuple[int, int],
    rng: np.random.Generator,
    *,
    flip: float,
    rotation: float,
    shift: float,
    scale: float,
    contrast: float,
    vertical: float = 0.0,
    turned: float = 1.0,
) -> Views:
    """Returns each clip once under a random view, drawn anew every epoch (minaee2019, sec. IV-B).

    Args:
      clip: int [clip].
      size: height and width in pixels.
      flip: probability of a horizontal flip, 0 to 1.
      rotation: largest angle in degrees.
      shift: largest shift as a fraction of the side.
      scale: largest relative change of size; 0.1 draws from [0.9, 1.1].
      contrast: largest relative change of contrast.
      vertical: probability of a vertical flip (jain2018, sec. 3.1).
      turned: probability of a rotation.
    """
    n = len(clip)
    height, width = size
    mirrored = rng.random(n) < flip
    degrees = rng.uniform(-rotation, rotation, n)
    shifts = rng.uniform(-shift, shift, (n, 2)) * (width, height)
    scales = 1 + rng.uniform(-scale, scale, n)
    factor = 1 + rng.uniform(-contrast, contrast, n)
    upside_down, still = rng.random(n) < vertical, rng.random(n) >= turned
    degrees[still] = 0
    # A vertical flip is a horizontal one and half a turn.
    matrix = affines(size, mirrored ^ upside_down, degrees + 180 * upside_down, shifts, scales)
    return Views(np.asarray(clip, np.int32), matrix, factor.astype(np.float32))
