"""fer_jax: facial expression recognition in images and video, in JAX.

Importing it changes nothing in the process, but where Python is starting one of its commands: this
is the first file of theirs that runs, and how a process keeps memory cannot be set any later.
"""

from fer_jax import host

__version__ = '0.1.0'

if host.starts_command():
    host.keep_buffers()
