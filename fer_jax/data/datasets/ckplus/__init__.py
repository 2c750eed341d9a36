"""The extended Cohn-Kanade dataset (CK+)."""
