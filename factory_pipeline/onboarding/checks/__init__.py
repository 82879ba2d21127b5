"""Checks of an upload before and after it is unpacked."""
