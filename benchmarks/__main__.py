"""All benchmarks, one after the other; their tables go into the README of this folder."""

import argparse
import re
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks import (
    aggregation,
    extraction,
    growth,
    hdf5,
    loaders,
    many_records,
    onboarding,
    overhead,
    pairs,
    peers,
    query,
    recipes,
    releases,
    report,
    search,
    splits,
    streaming,
    studio,
)

BENCHMARKS: dict[str, tuple[Callable[[float], list[str]], float]] = {
    "extraction": (extraction.benchmark, 1),
    "search": (search.benchmark, 1),
    "aggregation": (aggregation.benchmark, 1),
    "hdf5": (hdf5.benchmark, 1),
    "growth": (growth.benchmark, 0.3),
    "onboarding": (onboarding.benchmark, 0.05),
    "overhead": (overhead.benchmark, 1),
    "query": (query.benchmark, 0.1),
    "recipes": (recipes.benchmark, 0.1),
    "pairs": (pairs.benchmark, 0.5),
    "releases": (releases.benchmark, 0.1),
    "splits": (splits.benchmark, 0.5),
    "streaming": (streaming.benchmark, 0.25),
    "loaders": (loaders.benchmark, 0.2),
    "studio": (studio.benchmark, 1),
    "many_records": (many_records.benchmark, 0.2),
}
"""Each with its default scale: large enough for the ratios of the full size, small enough that all together
are to take less than half an hour on two free cores."""
PEERS = ("extraction", "aggregation", "recipes", "streaming", "loaders")
"""Those with contestants that `make bench-peers` installs."""
README = Path(__file__).with_name("README.md")


def main() -> None:
    """Run them and put each one's tables between its marks in the README."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"some of {', '.join(BENCHMARKS)}; none: all"
    )
    parser.add_argument(
        "--scale", type=float, help="size of the work, 1 is the full one; without, each one's own"
    )
    parser.add_argument("--peers", action="store_true", help=f"only {', '.join(PEERS)}")
    parser.add_argument("--readme", type=Path, default=README, help="the file with the marks")
    arguments = parser.parse_args()
    names = arguments.names or (PEERS if arguments.peers else tuple(BENCHMARKS))
    if unknown := [name for name in names if name not in BENCHMARKS]:
        parser.error(f"{unknown[0]} is not one of {', '.join(BENCHMARKS)}")
    text = put(arguments.readme.read_text(encoding="utf-8"), "machine", report.machine())
    text = put(text, "peers", peers.installed_peers())
    for name in names:
        run, own_scale = BENCHMARKS[name]
        scale = own_scale if arguments.scale is None else arguments.scale
        began = time.monotonic()
        tables = run(scale)
        made = f"Made with `--scale {scale:g}`, in {time.monotonic() - began:.0f} s."
        content = "\n\n".join([made, *tables])
        print(f"{name}: {content}\n", flush=True)
        text = put(text, name, content)
        # Written after each, so that what has been measured is kept if a later one fails.
        arguments.readme.write_text(text, encoding="utf-8")


def put(text: str, name: str, content: str) -> str:
    """The text with other content between the marks of this name."""
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    if begin not in text or end not in text:
        raise SystemExit(f"The README has no marks {begin} and {end}.")
    between = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    return between.sub(lambda _: f"{begin}\n{content}\n{end}", text)


if __name__ == "__main__":
    main()
