"""From saved probabilities to numbers, figures and pages for people (NumPy; no JAX)."""
