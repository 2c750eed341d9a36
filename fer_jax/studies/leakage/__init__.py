"""The leak laboratory: how much each of four leaks flatters an accuracy, on simulated faces.

The only room in which training clips and test clips are mixed on purpose. `fer_jax.studies` is its
only door; no run, config or protocol can reach it.
"""

from fer_jax.studies.leakage.design import LeakageDesign, make_system
from fer_jax.studies.leakage.divisions import Copies, make_copies
from fer_jax.studies.leakage.optimism import compute, summary_text
from fer_jax.studies.leakage.outcomes import Outcomes, networks, save, train
from fer_jax.studies.leakage.page import write

__all__ = [
    'Copies',
    'LeakageDesign',
    'Outcomes',
    'compute',
    'make_copies',
    'make_system',
    'networks',
    'save',
    'summary_text',
    'train',
    'write',
]
