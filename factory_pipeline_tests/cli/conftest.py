"""The home of the tests of onboarding, for those of its commands."""

from factory_pipeline_tests.onboarding.conftest import bench

__all__ = ["bench"]
