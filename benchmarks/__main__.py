"""All benchmarks, one after the other; their tables go into the README of this folder."""

import argparse
import re
import time
from pathlib import Path

from benchmarks import (
    aggregation,
    extraction,
    growth,
    hdf5,
    loaders,
    many_records,
    onboarding,
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

BENCHMARKS = {
    "extraction": extraction.benchmark,
    "search": search.benchmark,
    "aggregation": aggregation.benchmark,
    "hdf5": hdf5.benchmark,
    "growth": growth.benchmark,
    "onboarding": onboarding.benchmark,
    "query": query.benchmark,
    "recipes": recipes.benchmark,
    "pairs": pairs.benchmark,
    "releases": releases.benchmark,
    "splits": splits.benchmark,
    "streaming": streaming.benchmark,
    "loaders": loaders.benchmark,
    "studio": studio.benchmark,
    "many_records": many_records.benchmark,
}
PEERS = ("extraction", "aggregation", "recipes", "streaming", "loaders")
"""Those with contestants that `make bench-peers` installs."""
README = Path(__file__).with_name("README.md")


def main() -> None:
    """Run them and put each one's tables between its marks in the README."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="size of the work; 0.1 is a quick try")
    parser.add_argument("--peers", action="store_true", help=f"only {', '.join(PEERS)}")
    parser.add_argument("--readme", type=Path, default=README, help="the file with the marks")
    arguments = parser.parse_args()
    text = put(arguments.readme.read_text(encoding="utf-8"), "machine", report.machine())
    text = put(text, "peers", peers.installed_peers())
    for name in PEERS if arguments.peers else BENCHMARKS:
        began = time.monotonic()
        tables = "\n\n".join(BENCHMARKS[name](arguments.scale))
        print(f"{tables}\n\n{name}: {time.monotonic() - began:.0f} s\n", flush=True)
        text = put(text, name, tables)
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
