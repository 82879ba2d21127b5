"""Assets, checks, sensors and schedules of a build."""
