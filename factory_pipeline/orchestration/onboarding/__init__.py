"""Assets and sensors of uploads."""
