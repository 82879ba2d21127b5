"""Adding a dataset: upload, pre-scan, configure, labels, splits, submit."""
