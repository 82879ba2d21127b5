"""Sample archives of datasets that are not of GEDI: imagery, labels and the recipe that joins them."""
