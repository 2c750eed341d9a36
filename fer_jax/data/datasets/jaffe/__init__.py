"""The Japanese Female Facial Expression dataset (JAFFE)."""
