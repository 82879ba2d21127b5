"""Exports of dataset versions: one module per format."""
