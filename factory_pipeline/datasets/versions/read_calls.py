"""Which calls a factory's web server answers at once, without a run, and where."""

READ_CALLS = ("collections", "datasets", "dataset", "version", "compare", "check")
"""The calls that change nothing."""
READ_PATH = "/factory/read"
"""Where the web server answers READ_CALLS: it takes `{"call", "arguments"}` as JSON and gives
`answer`, `argument_error` or `error`."""
