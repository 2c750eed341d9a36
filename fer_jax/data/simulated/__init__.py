"""Simulated people who show emotions, drawn and laid out like a dataset's release."""

from fer_jax.data.simulated.release import STAMP, VERSION, write_release

__all__ = ['STAMP', 'VERSION', 'write_release']
