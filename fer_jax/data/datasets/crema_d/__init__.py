"""The crowd-sourced emotional multimodal actors dataset (CREMA-D)."""
