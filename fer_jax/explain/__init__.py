"""Shows what a finished run's network sees: occlusion saliency, warps, filters, clips over time."""

# What a window is worth: whether hiding it makes the prediction wrong (the paper's text), or how
# far the probability of the true class falls.
KINDS = ('flip', 'fall')
