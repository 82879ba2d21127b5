"""The whole way of a person in a browser: add, watch, look, choose, export, download, fine-tune, delete.

Every page on the way is looked at by axe-core, and must say nothing on the console: a script or style that
the content policy forbids would.
"""

import html
import json
import re
import shutil
import zipfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import dagster as dg
import pytest
import yaml
from playwright.sync_api import Browser, Page, expect, sync_playwright

from factory_pipeline.datalake.ingest.from_upload import collect_upload
from factory_pipeline.runs.instance import prepare_home
from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline.synthetic.server import SampleServer
from factory_pipeline.web.studio.add import parts
from factory_pipeline_tests.archives.servers import host, whole
from factory_pipeline_tests.onboarding.factory import Bench, requested
from factory_pipeline_tests.onboarding.page.test_render import CHROMIUM_ARGS
from factory_pipeline_tests.onboarding.uploads import pairs, zip_of
from factory_pipeline_tests.web.studio.served import ServedStudio
from factory_pipeline_tests.web.studio.test_builds_page import forge_build

pytestmark = pytest.mark.integration

AXE = Path(__file__).with_name("vendor") / "axe-4.14.1.min.js"
SERIOUS = ("serious", "critical")
SECONDS = 60
WIDEST = """[...document.body.querySelectorAll('*')]
    .filter(each => each.getBoundingClientRect().right > innerWidth && !each.closest('.scroll'))
    .slice(0, 3).map(each => each.outerHTML.slice(0, 200))"""
"""What reaches over the right edge of the window."""
PHONE = {"width": 390, "height": 844}


class Person:
    """Somebody at a browser who notices what is wrong with a page."""

    def __init__(self, page: Page, url: str) -> None:
        """Open the browser."""
        self.page = page
        self.url = url
        self.heard: list[str] = []
        page.set_default_timeout(1000 * SECONDS)
        expect.set_options(timeout=1000 * SECONDS)
        page.on("console", lambda message: self.hear(message.type, message.text))
        page.on("pageerror", lambda error: self.hear("error", str(error)))

    def hear(self, kind: str, text: str) -> None:
        """Keep what the browser complains of, but for a server that is away."""
        if kind == "error" and "ERR_CONNECTION" not in text and "ERR_EMPTY" not in text:
            self.heard.append(text)

    def look(self) -> None:
        """Check a page: nothing serious for axe, nothing on the console, no sideways scrolling on a phone.

        Contrast is checked in dark colours too.
        """
        self.page.evaluate(AXE.read_text())
        self.require_accessible({"resultTypes": ["violations"]})
        self.page.emulate_media(color_scheme="dark")
        self.require_accessible({"runOnly": ["color-contrast"]})
        self.page.emulate_media(color_scheme="light")
        assert not self.heard, self.heard
        wide = self.page.viewport_size
        self.page.set_viewport_size(PHONE)
        width = self.page.evaluate("document.documentElement.scrollWidth")
        widest = self.page.evaluate(WIDEST)
        assert width <= PHONE["width"], f"{self.page.url} is {width} pixels wide on a phone: {widest}"
        self.page.set_viewport_size(wide)

    def require_accessible(self, options: dict[str, list[str]]) -> None:
        """Fail where axe finds something serious."""
        found = self.page.evaluate("options => axe.run(document, options)", options)
        wrong = [
            f"{self.page.url} {one['id']}: {node['html'][:200]} {node.get('failureSummary', '')[:200]}"
            for one in found["violations"]
            if one["impact"] in SERIOUS
            for node in one["nodes"][:3]
        ]
        assert not wrong, "\n".join(wrong)

    def go(self, path: str) -> None:
        """Load a page."""
        self.page.goto(self.url + path)

    def press(self, name: str) -> None:
        """Press a button or link."""
        button = self.page.get_by_role("button", name=name, exact=True)
        link = self.page.get_by_role("link", name=name, exact=True)
        # The page before may still be there.
        expect(button.or_(link).first).to_be_visible()
        (button if button.count() else link).first.click()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("chromium is not installed")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=program, args=CHROMIUM_ARGS)
        yield launched
        launched.close()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    home = FactoryHome(tmp_path / "home")
    prepare_home(home)
    with dg.DagsterInstance.ephemeral() as instance:
        yield Bench(home, instance)


@pytest.fixture
def served(bench: Bench) -> Iterator[ServedStudio]:
    server = ServedStudio(bench.home)
    yield server
    server.stop()


@pytest.fixture
def person(browser: Browser, served: ServedStudio) -> Iterator[Person]:
    with closing(browser.new_context(viewport={"width": 1280, "height": 900})) as context:
        yield Person(context.new_page(), served.url)


def onboard_what_was_submitted(bench: Bench) -> str:
    """Do what the daemon does: two looks of the sensor, then the run that it asks for."""
    [key] = requested(bench.tick(bench.tick(None).cursor))
    bench.run(key)
    return key


def test_the_whole_way(
    person: Person,
    bench: Bench,
    served: ServedStudio,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    page = person.page
    archive = zip_of(tmp_path / "tiles.zip", pairs(6))
    monkeypatch.setattr(parts, "PART_BYTES", 400)

    person.go("/")
    expect(page.get_by_text("No dataset yet")).to_be_visible()
    person.look()
    page.get_by_role("link", name="Add file").first.click()
    person.look()

    # The server ends in the middle of the upload, and is started again.
    with page.expect_response(lambda answer: "/archive?offset=" in answer.url):
        page.set_input_files("#archive", archive)
    served.stop()
    monkeypatch.setattr(parts, "PART_BYTES", 1 << 20)
    served.start()
    expect(page.get_by_role("status").filter(has_text="tiles.zip: uploaded")).to_be_visible()
    [draft] = bench.home.studio.drafts.iterdir()
    assert (draft / "archive").read_bytes() == archive.read_bytes()

    page.get_by_label("Purpose").select_option("Segmentation")
    person.press("Pre-scan dataset")
    expect(page.get_by_text("The pre-scan passed")).to_be_visible()
    person.look()
    person.press("Configure dataset")
    page.get_by_label("Name", exact=True).fill("Tiles of the north")
    expect(page.get_by_text("This name is free.")).to_be_visible()
    page.get_by_label("Collection").fill("Sentinel-2 L2A")
    person.press("Fill in from the collection")
    expect(page.get_by_label("Scaling factor of band 0")).to_have_value("0.0001")
    person.look()
    person.press("Configure labels")
    page.get_by_label("Label name").nth(0).fill("Land")
    page.get_by_label("Label name").nth(1).fill("Water")
    person.press("Add label")
    expect(page.get_by_label("Label name")).to_have_count(3)
    person.look()
    page.get_by_role("button", name="Delete label").nth(2).click()
    expect(page.get_by_label("Label name")).to_have_count(2)
    person.press("Splits")
    person.look()

    # The form is left and come back to.
    person.go("/add")
    page.get_by_role("link", name="Tiles of the north").click()
    page.get_by_role("link", name="Splits").click()
    person.press("Review")
    expect(page.get_by_text("dataset_name: Tiles of the north")).to_be_visible()
    person.look()
    person.press("Submit")
    expect(page.get_by_text("was submitted and is being onboarded now")).to_be_visible()
    expect(page.get_by_text("Waiting to start")).to_be_visible()
    person.look()
    key = onboard_what_was_submitted(bench)
    expect(page.get_by_text("Succeeded")).to_be_visible()
    person.look()

    preview(person)
    move_map(person)
    fine_tune(person, tmp_path)
    with closing(bench.factory.registry()) as registry:
        if not registry.collections():
            collect_upload(registry, bench.home, key)
    choose_and_download(person, tmp_path)

    person.go("/")
    expect(page.get_by_role("listitem").filter(has_text="Tiles of the north")).to_be_visible()
    expect(page.get_by_role("listitem").filter(has_text="Northern water")).to_be_visible()
    person.look()
    delete(person)


def preview(person: Person) -> None:
    """Turn pages by keyboard, hide a layer by mouse; it stays hidden on the next pair."""
    page = person.page
    stage = page.locator("#stage")
    expect(page.get_by_text("1 of 6")).to_be_visible()
    stage.focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_text("2 of 6")).to_be_visible()
    label = page.locator("#stage img[data-layer=label]")
    expect(label).to_be_visible()
    page.get_by_role("button", name="Show Label").click()
    expect(label).to_be_hidden()
    page.get_by_role("link", name="Next pair").click()
    expect(page.get_by_text("3 of 6")).to_be_visible()
    expect(label).to_be_hidden()
    page.get_by_role("button", name="Show Label").press("Enter")
    expect(label).to_be_visible()
    page.get_by_label("Opacity of Label").fill("20")
    expect(label).to_have_css("opacity", "0.2")
    page.get_by_label("File", exact=True).select_option(index=5)
    expect(page.get_by_text("6 of 6")).to_be_visible()


def move_map(person: Person) -> None:
    """Zoom and move the map by keyboard and mouse; its graticule follows."""
    page = person.page
    drawn = page.locator("svg.map")
    expect(drawn.locator(".footprint")).to_have_count(6)
    whole, degrees = drawn.get_attribute("viewBox"), drawn.locator("text").all_inner_texts()
    drawn.focus()
    page.keyboard.press("-")
    expect(drawn).not_to_have_attribute("viewBox", str(whole))
    page.keyboard.press("ArrowLeft")
    assert drawn.locator("text").all_inner_texts() != degrees
    page.get_by_role("button", name="Whole map").click()
    x, y, width, height = map(float, str(drawn.get_attribute("viewBox")).split())
    assert [x, y, width, height] == pytest.approx(list(map(float, str(whole).split())))


def fine_tune(person: Person, folder: Path) -> None:
    """The configuration that is shown is the one that is downloaded."""
    page = person.page
    address = page.url
    person.press("Fine-tune")
    page.get_by_label("Epochs").fill("7")
    person.press("Show the configuration")
    shown = yaml.safe_load(html.unescape(page.locator("#configuration").inner_text()))
    assert shown["trainer"]["max_epochs"] == 7
    person.look()
    with page.expect_download() as saved:
        person.press("Download terratorch.yaml")
    saved.value.save_as(folder / "terratorch.yaml")
    assert yaml.safe_load((folder / "terratorch.yaml").read_text()) == shown
    page.goto(address)


def choose_and_download(person: Person, folder: Path) -> None:
    """Make a dataset of a query, export it, download it and unpack it."""
    page = person.page
    person.press("Data lake")
    page.get_by_label("Query").fill("annotation.label=Water")
    expect(page.get_by_text("6 images match")).to_be_visible()
    person.press("Find")
    expect(page.get_by_role("heading", name="6 images")).to_be_visible()
    page.get_by_text("Augmentations of the train split").click()
    turned = page.get_by_role("img", name="Flip horizontal of")
    expect(turned).to_be_visible()
    expect(turned).not_to_have_js_property("naturalWidth", 0)
    person.look()
    page.get_by_label("Name of the dataset").fill("Northern water")
    page.get_by_label("Images that overlap").select_option("ignore")
    page.get_by_role("button", name="Create dataset").click()
    expect(page.get_by_role("heading", name="Northern water", exact=True)).to_be_visible()
    person.look()
    person.press("Export COCO")
    expect(page.get_by_role("link", name="Download COCO")).to_be_visible()
    with page.expect_download() as saved:
        person.press("Download COCO")
    saved.value.save_as(folder / "export.zip")
    with zipfile.ZipFile(folder / "export.zip") as unpacked:
        listed = {file["path"] for file in json.loads(unpacked.read("export.json"))["files"]}
        assert listed < set(unpacked.namelist())
        unpacked.extractall(folder / "export")
    [annotations] = (folder / "export").rglob("*train*.json")
    named = {image["file_name"].rpartition("/")[2] for image in json.loads(annotations.read_text())["images"]}
    assert named
    assert named <= {path.name for path in (folder / "export").rglob("*") if path.is_file()}


def delete(person: Person) -> None:
    """A dataset is deleted only where the dialog is confirmed, and not while a version has its images."""
    page = person.page
    page.get_by_role("link", name="Tiles of the north").click()
    person.press("Delete")
    expect(page.get_by_role("heading", name="Delete Tiles of the north?")).to_be_visible()
    person.press("Keep it")
    expect(page.get_by_role("dialog")).to_be_hidden()
    person.go("/versions/Northern water")
    person.press("Delete")
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_text("Northern water 1.0.0 was deleted.")).to_be_visible()
    page.get_by_role("link", name="Tiles of the north").click()
    person.press("Delete")
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_text(re.compile("Tiles of the north .* was deleted"))).to_be_visible()
    expect(page.get_by_text("No dataset yet")).to_be_visible()


def test_a_bad_upload_by_link_says_why_and_gives_its_logs(
    person: Person, bench: Bench, tmp_path: Path
) -> None:
    page = person.page
    files = pairs(3)
    del files["labels/tile_1_mask.tif"]
    folder = tmp_path / "host"
    folder.mkdir()
    zip_of(folder / "bad.zip", files)
    bench.allow(private_addresses=True)
    with SampleServer(folder) as server:
        person.go("/add")
        page.get_by_label("Or a link").fill(f"{server.url}/bad.zip")
        page.get_by_label("Purpose").select_option("Generic")
        person.press("Pre-scan dataset")
        expect(page.get_by_text("The pre-scan found problems")).to_be_visible()
        person.look()
        submit(person)
        onboard_what_was_submitted(bench)
    expect(page.get_by_text("Onboarding failed")).to_be_visible()
    expect(page.get_by_role("alert")).to_contain_text("tile_1")
    person.look()
    with page.expect_download() as saved:
        person.press("Download logs")
    saved.value.save_as(tmp_path / "logs.txt")
    assert "tile_1" in (tmp_path / "logs.txt").read_text()


def test_a_link_to_a_host_without_ranges_goes_on_with_bands_by_hand(
    person: Person, bench: Bench, tmp_path: Path
) -> None:
    page = person.page
    content = zip_of(tmp_path / "tiles.zip", pairs(3)).read_bytes()
    bench.allow(private_addresses=True)
    with host(whole(content)) as address:
        person.go("/add")
        page.get_by_label("Or a link").fill(f"{address}/tiles.zip")
        page.get_by_label("Purpose").select_option("Generic")
        page.get_by_label("Names of images end in").fill("_merged.tif")
        page.get_by_label("Names of labels end in").fill("_mask.tif")
        person.press("Pre-scan dataset")
        expect(page.get_by_text("No pre-scan")).to_be_visible()
        expect(page.get_by_role("alert")).to_contain_text("can't serve parts of a file")
        person.press("Configure dataset")
        page.get_by_label("Number of bands").fill("2")
        person.press("Describe the bands")
        page.get_by_label("Name of band 0").fill("Blue")
        page.get_by_label("Name of band 1").fill("Red")
        person.look()
        submit(person, start="Splits")
        onboard_what_was_submitted(bench)
    expect(page.get_by_text("Succeeded")).to_be_visible()
    expect(page.get_by_text("1 of 3")).to_be_visible()
    [upload] = bench.uploads()
    manifest = yaml.safe_load(upload.manifest)
    assert [band["band_name"] for band in manifest["data_sources"][0]["bands"]] == ["Blue", "Red"]


def submit(person: Person, start: str = "Configure dataset") -> None:
    """Take what the pages propose, up to the page of the upload."""
    steps = ("Configure dataset", "Splits", "Review", "Submit")
    for step in steps[steps.index(start) :]:
        person.press(step)
    expect(person.page.get_by_text("Waiting to start")).to_be_visible()


def test_pages_that_are_seldom_seen_are_accessible_too(person: Person, bench: Bench, tmp_path: Path) -> None:
    forge_build(bench.home, tmp_path)
    person.go("/builds")
    for summary in person.page.locator("summary").all():
        summary.click()
    person.page.wait_for_load_state("networkidle")
    person.heard.clear()  # There is no catalog to read a chip from.
    person.look()
    person.go("/login")
    person.look()
    person.go("/nowhere")
    expect(person.page.get_by_text("There is no such page")).to_be_visible()
    person.heard.clear()
    person.look()


def test_pages_are_read_without_scripts(browser: Browser, served: ServedStudio) -> None:
    with closing(browser.new_context(java_script_enabled=False)) as context:
        page = context.new_page()
        for path, text in (("/", "Datasets"), ("/lake", "Data lake"), ("/builds", "No build yet")):
            page.goto(served.url + path)
            expect(page.get_by_text(text).first).to_be_visible()
