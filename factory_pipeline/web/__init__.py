"""Pages served in the browser."""
