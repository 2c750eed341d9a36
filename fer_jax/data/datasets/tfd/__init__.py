"""The Toronto Face Database (TFD)."""
