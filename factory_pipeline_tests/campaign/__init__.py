"""Work with a fault in the middle, many times: `python -m factory_pipeline_tests.campaign --help`."""
