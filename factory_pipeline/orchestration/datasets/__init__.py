"""Assets and sensors of dataset versions and their exports."""
