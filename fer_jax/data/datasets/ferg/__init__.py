"""The drawn faces of the Facial Expression Research Group (FERG-DB)."""
