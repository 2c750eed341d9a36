"""The Surrey audio-visual expressed emotion database (SAVEE)."""
