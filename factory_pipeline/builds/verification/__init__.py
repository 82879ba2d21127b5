"""Verifying what was made against what it was made of, by a code path of its own."""
