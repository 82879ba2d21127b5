"""Dataset versions: requests, choice of items, manifests, and content."""
