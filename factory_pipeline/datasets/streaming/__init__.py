"""Streaming of exported shards for training: `StreamingDataset`."""

from factory_pipeline.datasets.streaming.streaming_dataset import StreamingDataset

__all__ = ["StreamingDataset"]
