"""Populations of members: state, step, execution, checkpoints, progress."""
