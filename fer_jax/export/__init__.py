"""Writes trained networks in forms that others can run."""
