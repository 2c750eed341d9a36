"""Own data: what a manifest, or folders named after classes, list."""
