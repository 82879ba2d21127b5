"""The three splits of a dataset, as every file, table and message names them."""

TRAIN, TEST, VALIDATION = "train", "test", "validation"
SPLITS = (TRAIN, TEST, VALIDATION)
"""Train, test and validation, in the order of the percentages 60/20/20."""
