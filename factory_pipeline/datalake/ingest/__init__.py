"""How collections and annotations enter the data lake: uploads, builds, annotation files."""
