"""fer_jax: facial expression recognition in images and video, in JAX.

Importing it sets how the process keeps memory (fer_jax/allocator.py); later would be too late.
"""

from fer_jax.host import keep_buffers

__version__ = '0.1.0'

keep_buffers()
