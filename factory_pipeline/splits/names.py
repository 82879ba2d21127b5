"""The three splits of a dataset, as every file, table and message names them, and why an item is in none."""

TRAIN, TEST, VALIDATION = "train", "test", "validation"
SPLITS = (TRAIN, TEST, VALIDATION)
"""Train, test and validation, in the order of the percentages 60/20/20."""

NO_SPLIT, NEAR, OUTSIDE, BORDER = "no_split", "near_other_split", "outside", "border"
"""Why an item is in no split: the rule names none for it, it is too near to an item of another one, its block
of the ground is of another one, or it reaches into such a block."""
