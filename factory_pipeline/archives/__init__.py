"""Foreign archives: reading, downloading and unpacking them safely."""
