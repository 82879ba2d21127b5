"""Image pairs and fields from volumes: a spec in the inbox becomes a collection of aligned pairs."""
