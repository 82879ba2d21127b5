"""The Python SDK; `from factory_pipeline import DatasetClient`."""
