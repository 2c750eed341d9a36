"""The Ryerson audio-visual database of emotional speech and song (RAVDESS)."""
