"""Follows a clip through a network: the warp, the first filters, the course over time."""

import re
from collections.abc import Mapping

import jax
import numpy as np

from fer_jax.explain.network import Trained
from fer_jax.models.features import features
from fer_jax.ops.warp import sample_grid

# The first convolution of a network or of a branch: 'conv1', 'conv1a', 'localiser_conv1'.
_FIRST = re.compile(r'(.+_)?conv1a?')


def warps(trained: Trained, clip: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Applies the spatial transformer to clips; None where the network has none on its input.

    Args:
      clip: int [clip].

    Returns:
      theta float32 [clip, 2, 3], normalised output to input coordinates, and the sampled faces
      float32 [clip, H, W, C] in [0, 1].
    """
    if getattr(trained.network.system.model, 'transform', None) != 'input':
        return None

    @jax.jit
    def sample(network, seen):
        theta = features(trained.network.system.model, network, seen, 'theta')
        return theta, sample_grid(seen[:, 0], theta)

    theta, sampled = sample(trained.network.variables, trained.seen(clip))
    return np.asarray(theta), trained.pictures(np.asarray(sampled))


def outline(theta: np.ndarray, shape: tuple[int, int], lines: int) -> np.ndarray:
    """Traces the sampled face's grid in the input: what the network cuts out.

    Args:
      theta: [2, 3], of one face.
      shape: height and width in pixels.
      lines: across and down, borders included, at least 2.

    Returns:
      float64 [2 * lines, P, 2], x and y in pixels of the input: the lines across, then down.
    """
    ends = np.linspace(-1, 1, lines)
    along = np.linspace(-1, 1, 2)
    across = [np.stack([along, np.full(2, y)], 1) for y in ends]
    down = [np.stack([np.full(2, x), along], 1) for x in ends]
    points = np.array(across + down)
    mapped = points @ theta[:, :2].T.astype(float) + theta[:, 2]
    return ((mapped + 1) * np.array(shape[::-1]) - 1) / 2


def first_filters(params: Mapping) -> dict[str, np.ndarray]:
    """Returns the kernels that see the frames: {layer: float32 [filter, t, h, w]}.

    They are means over channels. A network of several branches has several; a kernel over images
    alone has t = 1.
    """
    found = {}
    for path, leaf in jax.tree_util.tree_leaves_with_path(params):
        *above, layer, kind = [str(step.key) for step in path]
        if kind == 'kernel' and _FIRST.fullmatch(layer):
            kernel = np.moveaxis(np.asarray(leaf).mean(-2), -1, 0)
            name = '/'.join([*above, layer])
            found[name] = kernel if kernel.ndim == 4 else kernel[:, None]
    return found


def revealed(frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Prefixes a clip as it would be loaded after its first, second, ... frame.

    Args:
      frames: [T, H, W, C].

    Returns:
      The prefixes [T, T, H, W, C], each filled by repeating its last frame, as the loader fills
      short clips, and their lengths int32 [T].
    """
    last = np.arange(len(frames))
    return frames[np.minimum(last, last[:, None])], (last + 1).astype(np.int32)


def over_time(trained: Trained, clip: np.ndarray) -> list[np.ndarray]:
    """Computes class probabilities of clips while their frames are revealed one by one.

    Args:
      clip: int [clip].

    Returns:
      For each clip float32 [length, K].
    """
    predict = jax.jit(trained.network.system.probabilities)
    courses = []
    for index in clip:
        prefixes, lengths = revealed(trained.seen(np.array([index]))[0])
        course = np.asarray(predict(trained.network.variables, prefixes, lengths))
        courses.append(course[: trained.clips.length[index]])
    return courses
