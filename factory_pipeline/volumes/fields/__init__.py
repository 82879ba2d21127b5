"""Fields of image pairs, by an aligner: in shards, which are then joined."""
