"""The manifest of an upload."""
