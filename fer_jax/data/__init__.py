"""From a release on disk to folds of clips in memory (NumPy and OpenCV; no JAX)."""
