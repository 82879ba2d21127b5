"""The samples and the content of a dataset version."""
