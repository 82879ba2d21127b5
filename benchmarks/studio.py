"""The first paint and the weight of the studio's pages with very many datasets, the browser's cache empty.

Needs Chromium and the development packages (`pip install -e .[dev]`).
"""

import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from statistics import median
from urllib.request import urlopen

import numpy as np
import polars as pl
from playwright.sync_api import Page, sync_playwright

from benchmarks.report import Row, main, met, table
from factory_pipeline.datalake.registry.records import UploadStatus
from factory_pipeline.datalake.registry.registry import Registry
from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline.web.studio.catalog import CARDS_PER_PAGE, upload_address
from factory_pipeline.web.studio.context import Studio
from factory_pipeline.web.studio.pictures import draw_picture
from factory_pipeline_tests.onboarding.page.test_render import CHROMIUM_ARGS
from factory_pipeline_tests.web.studio.test_start_page import register

DATASETS = 1000
REPEATS = 7
FIRST_PAINT_S = 0.5
LARGEST_KB = 300
PAGES = {
    "start page": "/",
    "the last page of cards": "/?page=9999",
    "search by name": "/?q=set-7",
    "a dataset that failed": upload_address("set-1@00000001"),
    "Add": "/add",
    "Data lake": "/lake",
    "Builds": "/builds",
}
PAINT = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
WEIGHT = """performance.getEntriesByType('navigation')
    .concat(performance.getEntriesByType('resource').filter(each => each.initiatorType !== 'img'))
    .reduce((sum, each) => sum + each.encodedBodySize, 0)"""
"""Bytes of the page with its scripts and styles, before pictures."""


def benchmark(scale: float) -> list[str]:
    """The table; `scale` changes the number of datasets."""
    program = shutil.which("chromium")
    if program is None:
        raise SystemExit("chromium is not installed")
    count = max(CARDS_PER_PAGE, round(DATASETS * scale))
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        home = FactoryHome(Path(folder) / "home")
        fill(home, count)
        with served(home) as url:
            browser = playwright.chromium.launch(executable_path=program, args=CHROMIUM_ARGS)
            with closing(browser):
                page = browser.new_page(viewport={"width": 1280, "height": 900})
                page.context.new_cdp_session(page).send("Network.setCacheDisabled", {"cacheDisabled": True})
                page.goto(f"{url}/login")
                rows = [measured(page, name, url + path) for name, path in PAGES.items()]
    goals = f"goal {FIRST_PAINT_S} s", f"goal {LARGEST_KB} kB"
    columns = ["page", "server s", "first paint s", "at best", goals[0], "kB", goals[1]]
    return [table(f"The studio of {count:,} datasets, nothing in the browser's cache", columns, rows)]


def fill(home: FactoryHome, count: int) -> None:
    """Register uploads; those that succeeded have a picture and a table of items, as cards read them."""
    home.root.mkdir(parents=True)
    random = np.random.default_rng(0)
    items = pl.DataFrame({"split": random.choice(["train", "test", "validation"], 1000)})
    picture = draw_picture(random.integers(0, 255, (3, 203, 360)), 360)
    with closing(Registry.open(home.registry)) as registry:
        register(Studio(home, registry), count)
        for upload in registry.uploads():
            if upload.status is UploadStatus.SUCCEEDED:
                files = home.upload(upload.key)
                files.finished.root.mkdir(parents=True)
                files.received.parent.mkdir(parents=True, exist_ok=True)
                files.received.touch()
                items.write_parquet(files.finished.items)
                kept = home.studio.picture(f"upload-{upload.key}")
                kept.parent.mkdir(parents=True, exist_ok=True)
                kept.write_bytes(picture)


@contextmanager
def served(home: FactoryHome) -> Iterator[str]:
    """Run the studio as `factory ui` does, in a process of its own; gives its address."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "factory_pipeline.web.server", str(home.root), "--port", str(port)]
    url = f"http://127.0.0.1:{port}"
    with subprocess.Popen(command) as process:
        try:
            while not is_ready(f"{url}/login"):
                time.sleep(0.2)
            yield url
        finally:
            process.terminate()


def is_ready(url: str) -> bool:
    """Whether the studio answers."""
    try:
        with urlopen(url, timeout=5):
            return True
    except OSError:
        return False


def measured(page: Page, name: str, url: str) -> Row:
    """The median of loads of a page in a tab that is open already."""
    waits, paints, sizes = [], [], []
    for _ in range(REPEATS):
        page.goto(url, wait_until="load")
        while page.evaluate(PAINT) is None:
            time.sleep(0.05)
        waits.append(page.evaluate("performance.getEntriesByType('navigation')[0].responseEnd") / 1e3)
        paints.append(page.evaluate(PAINT) / 1e3)
        sizes.append(page.evaluate(WEIGHT) / 1e3)
    paint, size = median(paints), max(sizes)
    goals = met(paint < FIRST_PAINT_S), met(size < LARGEST_KB)
    return name, median(waits), paint, min(paints), goals[0], size, goals[1]


if __name__ == "__main__":
    main(benchmark, __doc__)
