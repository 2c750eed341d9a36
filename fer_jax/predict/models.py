"""A network's account of itself, so that faces are cut out and classified as it has learnt."""

import abc
import dataclasses

import numpy as np

from fer_jax.data import cropping


@dataclasses.dataclass(frozen=True)
class Framing:
    """Places the box that a network's margin counts from in the box that YuNet finds.

    YuNet's boxes reach from the hairline to the chin. Both boxes are taken as squares of their
    longer side.

    Attributes:
      scale: its side as a share of YuNet's.
      down: how far its centre lies below YuNet's, as a share of YuNet's side.
    """

    scale: float = 1.0
    down: float = 0.0

    def box(self, found: np.ndarray) -> np.ndarray:
        """Computes the square box [4] of YuNet's box [4]."""
        side = float((found[2:] - found[:2]).max())
        centre = (found[:2] + found[2:]) / 2 + (0, self.down * side)
        half = self.scale * side / 2
        return np.concatenate([centre - half, centre + half])


# The tight box around 68 landmarks (brows to chin), measured on simulated faces: medians of eight
# people at yaws of 0 to 57 degrees were 0.79 to 0.86 and 0.12 to 0.15.
LANDMARKS = Framing(0.83, 0.14)
# FER2013's whole picture: the median of 792 of its pictures in which YuNet finds a face.
FER2013 = Framing(1.03, -0.02)
YUNET = Framing()


@dataclasses.dataclass(frozen=True)
class FaceClassifier(abc.ABC):
    """A network with all that decides what it sees.

    Attributes:
      name: for people.
      digest: of its weights.
      classes: in the order of its outputs.
      geometry: how many frames it sees, how they are chosen from a window, cut and registered.
      framing: what the geometry's margin counts from.
      stored: whether its training clips were first reduced to at most 160 pixels, as prepared
        datasets are (`data.datasets.records.cropped`); cut from the picture at once otherwise.
      fit: what a fitted registration needs (`data.cropping.draw`), else None.
      seconds: length of the window that a sequence is chosen from; 0 for a network of stills.
      centred: whether a window's probabilities are said of its middle; of its end otherwise.
      threshold: a highest probability below it is called uncertain.
      notes: what is not as in training, for people.
    """

    name: str
    digest: str
    classes: tuple[str, ...]
    geometry: cropping.Geometry
    framing: Framing
    stored: bool
    fit: np.ndarray | None
    seconds: float
    centred: bool
    threshold: float
    notes: tuple[str, ...]

    @abc.abstractmethod
    def probabilities(self, clips: np.ndarray, length: np.ndarray) -> np.ndarray:
        """Computes calibrated probabilities float32 [n, class].

        Args:
          clips: uint8 [n, T, S, S, C] as the geometry says; short ones repeat their last frame.
          length: int32 [n], frames before the repetition.
        """
