"""Several models of one clip, by face, sound and scene, and their fusion (kahou2015)."""
