"""Damaged files that reach new code, by Atheris: `python -m factory_pipeline_tests.fuzz.guided --help`.

Where the campaign draws damages at random, Atheris keeps what has reached code that nothing had reached
before, and damages that again. Its libFuzzer writes its progress to stderr.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["factory_pipeline"]):
    from factory_pipeline_tests.fuzz.targets import CORPUS, TARGETS

SLOWEST_S = 25
MEMORY_MB = 4096
LARGEST_BYTES = 1 << 17


def main() -> int:
    """Fuzz the parsers one after the other, each from each of its files; return 1 if anything failed."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument(
        "parsers", nargs="*", metavar="PARSER", help=f"of {', '.join(TARGETS)}; all by default"
    )
    options.add_argument(
        "--file", help="of the corpus, which a parser starts from; all of its own by default"
    )
    options.add_argument("--seconds", type=int, default=60, help="for each file")
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--keep", type=Path, help="a folder for what reached new code and what failed")
    options.add_argument("--again", type=Path, help="try this file alone, which failed before")
    asked = options.parse_args()
    for name in asked.parsers:
        if name not in TARGETS:
            options.error(f"no parser {name!r}; there are {', '.join(TARGETS)}")
    if asked.file:
        if len(asked.parsers) != 1 or asked.file not in TARGETS[asked.parsers[0]].files:
            options.error("--file is one of the files of one parser")
        fuzz(asked.parsers[0], asked.file, asked)
    failed = [
        f"{name}, {file}"
        for name in asked.parsers or TARGETS
        for file in TARGETS[name].files
        if subprocess.run(
            [sys.executable, "-m", __spec__.name, name, "--file", file, *_without_parsers(asked)]
        ).returncode
    ]
    print(f"Failed: {'; '.join(failed)}" if failed else "All was read or refused.")
    return 1 if failed else 0


def fuzz(parser: str, file: str, asked: argparse.Namespace) -> None:
    """Fuzz one parser in this process, which libFuzzer ends: with 0 if nothing failed."""
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        found = (asked.keep or scratch / "kept") / parser / file
        found.mkdir(parents=True, exist_ok=True)
        seeds = scratch / "seeds"
        seeds.mkdir()
        (seeds / file).write_bytes((CORPUS / file).read_bytes())

        def read(content: bytes) -> None:
            with tempfile.TemporaryDirectory(dir=scratch) as place:
                TARGETS[parser].read_or_refuse(file, content, Path(place))

        limits = [f"-timeout={SLOWEST_S}", f"-rss_limit_mb={MEMORY_MB}", f"-max_len={LARGEST_BYTES}"]
        what = [str(asked.again)] if asked.again else [str(found), str(seeds)]
        ends = [
            f"-max_total_time={asked.seconds}",
            f"-seed={asked.seed}",
            f"-artifact_prefix={found}/failed-",
        ]
        atheris.Setup([sys.argv[0], *limits, *ends, *what], read)
        atheris.Fuzz()


def _without_parsers(asked: argparse.Namespace) -> list[str]:
    keep = [] if asked.keep is None else ["--keep", str(asked.keep)]
    return ["--seconds", str(asked.seconds), "--seed", str(asked.seed), *keep]


if __name__ == "__main__":
    sys.exit(main())
