"""The Oulu-CASIA NIR&VIS facial expression dataset."""
