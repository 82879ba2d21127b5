"""Many more damaged files than the suite tries: `python -m factory_pipeline_tests.fuzz.campaign --help`."""

import argparse
import resource
import sys
import tempfile
import traceback
from pathlib import Path
from random import Random
from time import monotonic

from factory_pipeline_tests.fuzz.targets import TARGETS

SLOW_S = 5.0


def main() -> int:
    """Try seeds in turn on each parser; print what fails, with its seed; return 1 if anything did."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--examples", type=int, default=1000, help="of each parser")
    options.add_argument("--seed", type=int, default=0, help="of the first example")
    options.add_argument("--memory-gb", type=int, default=12, help="address space that all may take together")
    options.add_argument("parsers", nargs="*", help=f"of {', '.join(TARGETS)}; all by default")
    asked = options.parse_args()
    resource.setrlimit(resource.RLIMIT_AS, (asked.memory_gb << 30,) * 2)
    failed = 0
    for name in asked.parsers or TARGETS:
        began, failures = monotonic(), 0
        for seed in range(asked.seed, asked.seed + asked.examples):
            failures += not _try(name, seed)
        failed += failures
        print(
            f"{name}: {asked.examples} examples, {failures} failures, {monotonic() - began:.0f} s", flush=True
        )
    return 1 if failed else 0


def _try(name: str, seed: int) -> bool:
    began = monotonic()
    with tempfile.TemporaryDirectory() as folder:
        try:
            TARGETS[name].try_with(Random(seed), Path(folder))
        except Exception:
            print(f"{name}, seed {seed}:\n{traceback.format_exc()}", file=sys.stderr)
            return False
    if monotonic() - began > SLOW_S:
        print(f"{name}, seed {seed}: {monotonic() - began:.0f} s", file=sys.stderr)
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
