"""The homes of the tests of onboarding, for those of its assets and sensors."""

from factory_pipeline_tests.onboarding.conftest import bench, finished

__all__ = ["bench", "finished"]
