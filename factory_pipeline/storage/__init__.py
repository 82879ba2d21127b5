"""Paths of all files, and how files are written."""
