"""Simulated people who show emotions, drawn and laid out like a dataset's release."""

from fer_jax.data.simulated.release import STAMP, write_release

__all__ = ['STAMP', 'write_release']
