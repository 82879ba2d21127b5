"""Generated archives for the demo, tests and benchmarks."""
