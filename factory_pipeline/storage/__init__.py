"""Where everything is kept, and how files are written."""
