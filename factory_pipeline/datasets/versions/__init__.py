"""Dataset versions: what is asked for, which items are in it, its manifest, and its content."""
