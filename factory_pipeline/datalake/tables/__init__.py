"""The tables of the data lake: items of all collections and their annotations."""
