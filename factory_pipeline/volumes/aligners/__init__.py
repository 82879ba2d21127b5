"""Aligners: from an image pair and a field to a better field."""
