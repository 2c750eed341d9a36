"""Studies of what the networks can do and use: the adding problem, and the order of frames."""
