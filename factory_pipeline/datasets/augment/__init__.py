"""Augmentation of samples: the table of operations, on images and labels alike."""
