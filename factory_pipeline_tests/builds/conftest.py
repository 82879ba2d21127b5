"""The home of the tests of onboarding, for builds whose datasets are onboarded."""

from factory_pipeline_tests.onboarding.conftest import bench

__all__ = ["bench"]
