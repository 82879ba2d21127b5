"""The registry: uploads, collections, datasets and their versions, in SQLite or PostgreSQL."""
