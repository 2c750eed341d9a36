"""Image operations on the device in pure jax.numpy: equalisation, warps, photometry, views."""
