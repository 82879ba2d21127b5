"""Recipe, settings and policies."""
