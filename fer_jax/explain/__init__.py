"""What a finished run's network looks at: occlusion saliency, warps, filters, clips over time."""
