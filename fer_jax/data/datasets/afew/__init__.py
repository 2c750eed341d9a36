"""Acted facial expressions in the wild (AFEW), the clips of the EmotiW challenges."""
