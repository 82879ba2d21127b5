"""Dataset versions, their samples, augmentations and exports."""
