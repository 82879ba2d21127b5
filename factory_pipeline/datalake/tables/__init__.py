"""The data lake: items of all collections, their annotations, and the samples that exports are made of."""
