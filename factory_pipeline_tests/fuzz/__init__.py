"""Damaged and altered bytes for every parser of what others wrote: each parses, or says why not."""
