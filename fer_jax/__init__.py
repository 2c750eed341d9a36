"""fer_jax: facial expression recognition in images and video, in JAX."""

__version__ = '0.1.0'
