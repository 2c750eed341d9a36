"""FER2013 with its own labels and those of FER+."""
