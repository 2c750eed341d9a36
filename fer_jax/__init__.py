"""fer_jax: facial expression recognition in images and video, in JAX.

Importing it changes nothing in the process, but where Python is starting one of its commands: this
is the first file of theirs that runs, and how a process keeps memory and logs cannot be set later.
"""

from typing import TYPE_CHECKING

from fer_jax import host

if TYPE_CHECKING:
    from fer_jax.experiment.predictor import Predictor

__version__ = '0.1.0'

if host.starts_command():
    host.prepare_command()


def load(name: str, member: int = -1, mirrored: bool | None = None) -> 'Predictor':
    """Opens trained networks to classify pictures with; see `fer_jax.experiment.predictor`.

    Args:
      name: of a network of the package, e.g. 'small'; or the directory of a finished run, or of a
        model folder.
      member: of several, the one to take; -1 takes the mean of their probabilities.
      mirrored: whether a picture's mirror image counts too, for twice the time; None: as trained.

    Raises:
      UserError: nothing of that name, or a damaged file.
    """
    from fer_jax.experiment.predictor import Predictor  # imports jax: not with the package

    return Predictor.open(name, member, mirrored)
