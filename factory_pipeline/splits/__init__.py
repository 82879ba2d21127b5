"""Assigning splits, and leakage between them."""
