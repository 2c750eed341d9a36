"""The leak laboratory: how much each of four leaks flatters an accuracy, on simulated faces.

The only room in which training clips and test clips are mixed on purpose. `fer_jax.studies` is its
only door; no run, config or protocol can reach it.
"""

from fer_jax.studies.leakage.design import LeakageDesign
from fer_jax.studies.leakage.measurement import load_clips, measure

__all__ = ['LeakageDesign', 'load_clips', 'measure']
