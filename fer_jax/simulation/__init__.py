"""Simulated people who show emotions, drawn and laid out like a dataset's release."""

from fer_jax.simulation.release import (
    STAMP,
    VERSION,
    hidden_labels,
    prepared_with,
    write_release,
)

__all__ = ['STAMP', 'VERSION', 'hidden_labels', 'prepared_with', 'write_release']
