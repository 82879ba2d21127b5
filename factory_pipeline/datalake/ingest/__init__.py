"""The doors by which collections and annotations enter the data lake."""
