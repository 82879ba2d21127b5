"""Image pairs and fields cut from electron-microscopy volumes: specs, extraction, files, aligners."""
