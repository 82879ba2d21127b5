"""Downloads go on where they were cut off, verify every file and overwrite nothing of others."""

import errno
import hashlib
import json
import os
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import uvicorn

from factory_pipeline.datalake.registry.registry import Registry
from factory_pipeline.datasets.exports.download import (
    MARKER,
    FolderExportSource,
    HttpExportSource,
    download,
    folder_name,
)
from factory_pipeline.datasets.exports.listing import LISTING, ExportedFile, ExportedFiles, files_hash
from factory_pipeline.errors import DownloadError
from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline.storage.temporaries import temporary_in
from factory_pipeline.web.studio.app import studio_app
from factory_pipeline.web.studio.context import Studio
from factory_pipeline.web.studio.guard import Access

pytestmark = pytest.mark.integration

CONTENT = {
    "labels.json": b'{"images": []}',
    "data/a.tif": bytes(range(256)) * 9000,
    "data/b b.tif": b"b" * 10,
    "empty.txt": b"",
}


@pytest.fixture
def export(tmp_path: Path) -> Path:
    return make_export(FactoryHome(tmp_path / "home").version("abc").export("raw"))


def make_export(folder: Path, content: dict[str, bytes] = CONTENT) -> Path:
    for name, data in content.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    files = tuple(
        ExportedFile(name, len(data), hashlib.sha256(data).hexdigest(), name.startswith("data/"))
        for name, data in sorted(content.items())
    )
    listing = ExportedFiles("RAW", "Balloons", "1.0.0", files_hash(files), files)
    (folder / LISTING).write_text(json.dumps(asdict(listing)), encoding="utf-8")
    return folder


def brought(target: Path) -> dict[str, bytes]:
    return {
        path.relative_to(target).as_posix(): path.read_bytes()
        for path in target.rglob("*")
        if path.is_file() and not path.name.startswith(".") and path.name != LISTING
    }


def test_every_file_and_the_listing_come(export: Path, tmp_path: Path) -> None:
    told = []
    target = download(FolderExportSource(export), tmp_path / "out", on_bytes=lambda *seen: told.append(seen))
    assert brought(target) == CONTENT
    assert (target / LISTING).read_text() == (export / LISTING).read_text()
    total = sum(map(len, CONTENT.values()))
    assert told[-1] == (total, total)


def test_annotations_come_without_media_and_media_later(export: Path, tmp_path: Path) -> None:
    target = download(FolderExportSource(export), tmp_path / "out", media=False)
    assert set(brought(target)) == {"labels.json", "empty.txt"}
    download(FolderExportSource(export), target)
    assert brought(target) == CONTENT


def test_a_second_download_reads_nothing_again(export: Path, tmp_path: Path) -> None:
    class Unread(FolderExportSource):
        def read(self, path: str, start: int) -> Iterator[bytes]:
            raise AssertionError(f"{path} from {start} was read again")

    target = download(FolderExportSource(export), tmp_path / "out")
    assert download(Unread(export), target) == target


def test_a_file_goes_on_where_it_was_cut_off(export: Path, tmp_path: Path) -> None:
    started = []

    class CutOff(FolderExportSource):
        def read(self, path: str, start: int) -> Iterator[bytes]:
            started.append((path, start))
            pieces = super().read(path, start)
            if path == "data/a.tif" and start == 0:
                yield next(pieces)
                raise ConnectionResetError("reset")
            yield from pieces

    target = download(CutOff(export), tmp_path / "out")
    assert brought(target) == CONTENT
    assert [start for path, start in started if path == "data/a.tif"] == [0, 1 << 20]


def test_a_download_that_was_killed_before_it_marked_its_folder_starts_again(
    export: Path, tmp_path: Path
) -> None:
    target = tmp_path / "out"
    target.mkdir()
    name = temporary_in(tmp_path / "new", Path(MARKER).stem, ".json").name
    _, _, start, _ = name.split(".")[-3].split("-")
    (target / name.replace(f"-{start}-", f"-{int(start) + 1}-")).write_text("{")
    download(FolderExportSource(export), target)
    assert brought(target) == CONTENT


def test_a_part_with_wrong_bytes_is_fetched_anew(export: Path, tmp_path: Path) -> None:
    target = tmp_path / "out"
    download(FolderExportSource(export), target, media=False)
    (target / "data").mkdir()
    (target / "data" / ".a.tif.part").write_bytes(b"x" * 5000)
    download(FolderExportSource(export), target)
    assert brought(target) == CONTENT
    assert not list(target.rglob("*.part"))


def test_a_file_that_never_verifies_is_named(export: Path, tmp_path: Path) -> None:
    (export / "data" / "a.tif").write_bytes(b"other")
    with pytest.raises(DownloadError, match=r"data/a\.tif could not be downloaded in 5 attempts"):
        download(FolderExportSource(export), tmp_path / "out")
    assert not (tmp_path / "out" / "data" / "a.tif").exists()


def test_a_changed_file_is_not_overwritten(export: Path, tmp_path: Path) -> None:
    target = download(FolderExportSource(export), tmp_path / "out")
    (target / "labels.json").write_text("mine")
    with pytest.raises(DownloadError, match=r"labels\.json has changed since"):
        download(FolderExportSource(export), target)
    assert (target / "labels.json").read_text() == "mine"


def test_a_folder_of_somebody_else_is_left_alone(export: Path, tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.mkdir()
    (target / "notes.txt").write_text("mine")
    with pytest.raises(DownloadError, match="is not empty"):
        download(FolderExportSource(export), target)
    assert [path.name for path in target.iterdir()] == ["notes.txt"]


def test_another_version_is_not_mixed_in(export: Path, tmp_path: Path) -> None:
    target = download(FolderExportSource(export), tmp_path / "out")
    other = make_export(tmp_path / "other", {**CONTENT, "labels.json": b"{}"})
    with pytest.raises(DownloadError, match=r"contains Balloons 1\.0\.0 as RAW; choose another folder"):
        download(FolderExportSource(other), target)


def test_a_name_that_is_too_long_is_one_sentence(export: Path, tmp_path: Path) -> None:
    for target in (tmp_path / ("x" * 256), tmp_path / ("ö" * 128) / "out"):
        with pytest.raises(DownloadError, match="the name is too long; a file system allows 255 bytes"):
            download(FolderExportSource(export), target)
    assert download(FolderExportSource(export), tmp_path / ("x" * 255)).is_dir()


def test_a_file_whose_name_is_as_long_as_can_be_comes(tmp_path: Path) -> None:
    content = {f"data/{'x' * 255}": b"x", f"data/{'y' * 250}": b"y"}
    export = make_export(tmp_path / "export", content)
    assert brought(download(FolderExportSource(export), tmp_path / "out")) == content


def test_a_nul_is_one_sentence(export: Path, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="can't be the name of a folder: embedded null byte"):
        download(FolderExportSource(export), tmp_path / "a\0b")


def test_a_folder_below_a_file_is_one_sentence(export: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DownloadError, match=r"file/out can't be written: not a directory\.$"):
        download(FolderExportSource(export), tmp_path / "file" / "out")


def test_a_link_to_nothing_is_refused_and_a_link_to_a_folder_is_that_folder(
    export: Path, tmp_path: Path
) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(DownloadError, match="link is a broken symbolic link"):
        download(FolderExportSource(export), tmp_path / "link")
    assert not (tmp_path / "real").exists()
    (tmp_path / "real").mkdir()
    download(FolderExportSource(export), tmp_path / "link")
    assert brought(tmp_path / "real") == CONTENT


@pytest.mark.parametrize("name", ["data", "data/a.tif", "data/.a.tif.part", MARKER])
@pytest.mark.parametrize("leads", ["out", "inside", "nowhere"])
def test_a_link_in_the_folder_is_never_followed(export: Path, tmp_path: Path, name: str, leads: str) -> None:
    target = download(FolderExportSource(export), tmp_path / "out", media=False)
    for file in (target / "data" / "a.tif", target / MARKER if name == MARKER else target / "none"):
        file.unlink(missing_ok=True)
    outside = {"out": tmp_path / "outside", "inside": target / "inside", "nowhere": tmp_path / "nowhere"}[
        leads
    ]
    if leads != "nowhere":
        outside.mkdir() if name == "data" else outside.write_bytes(b"kept")
    (target / name).parent.mkdir(exist_ok=True)
    (target / name).symlink_to(outside)
    with pytest.raises(DownloadError, match=r"symbolic link, which downloads never follow; remove it\.$"):
        download(FolderExportSource(export), target)
    match (leads, name):
        case ("nowhere", _):
            assert not outside.exists()
        case (_, "data"):
            assert list(outside.iterdir()) == []
        case _:
            assert outside.read_bytes() == b"kept"


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_disk_that_is_full_when_the_record_is_written_is_one_sentence(
    export: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def full(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr("factory_pipeline.datasets.exports.download.write_text", full)
    with pytest.raises(DownloadError, match=r"There is no space left for .*out; free some space"):
        download(FolderExportSource(export), tmp_path / "out")
    monkeypatch.undo()
    assert brought(download(FolderExportSource(export), tmp_path / "out")) == CONTENT


def test_a_disk_that_fails_is_not_taken_for_a_source_that_does(
    export: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    target = download(FolderExportSource(export), tmp_path / "out", media=False)
    monkeypatch.setattr("factory_pipeline.storage.resume_download.os.fsync", broken)
    with pytest.raises(DownloadError, match=r"\.part can't be written: input/output error\.$"):
        download(FolderExportSource(export), target)


@pytest.mark.parametrize("text", ["", "[]", "{}", "\x00\x01"])
def test_a_record_that_can_not_be_read_is_one_sentence(export: Path, tmp_path: Path, text: str) -> None:
    target = download(FolderExportSource(export), tmp_path / "out")
    (target / MARKER).write_text(text)
    with pytest.raises(DownloadError, match="so the content of"):
        download(FolderExportSource(export), target)


@pytest.mark.parametrize("name", ["../evil", "/evil", "a/../../evil", "a\0b", ".", MARKER, LISTING])
def test_a_name_that_leaves_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    files = (ExportedFile(name, 1, "0", False),)
    listing = ExportedFiles("RAW", "Balloons", "1.0.0", files_hash(files), files)
    (tmp_path / "export").mkdir()
    (tmp_path / "export" / LISTING).write_text(json.dumps(asdict(listing)))
    with pytest.raises(DownloadError, match="does not stay in its folder"):
        download(FolderExportSource(tmp_path / "export"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_no_export_is_said(tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="contains no export"):
        download(FolderExportSource(tmp_path), tmp_path / "out")


def test_the_folder_is_named_by_the_dataset(export: Path) -> None:
    listing = json.loads((export / LISTING).read_text())
    (export / LISTING).write_text(json.dumps({**listing, "dataset": "Bäume / 2", "format": "YOLO Darknet"}))
    assert folder_name(FolderExportSource(export)) == "Bäume___2-1.0.0-YOLO_Darknet"


def test_the_folder_of_a_long_name_can_be_made(export: Path, tmp_path: Path) -> None:
    listing = json.loads((export / LISTING).read_text())
    names = []
    for dataset in ("ö" * 200, "ö" * 201):
        (export / LISTING).write_text(json.dumps({**listing, "dataset": dataset}))
        names.append(folder_name(FolderExportSource(export)))
        (tmp_path / names[-1]).mkdir()
    assert all(name.endswith("-1.0.0-RAW") for name in names)


@pytest.fixture
def pages(export: Path, tmp_path: Path) -> Iterator[str]:
    """The server of `factory ui` on the home with the export."""
    home = FactoryHome(tmp_path / "home")
    assert export.is_dir()
    with closing(Registry.open(home.registry)) as registry:
        app = studio_app(Studio(home, registry), Access(b"secret"))
        config = uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        while not server.started:
            thread.join(0.01)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
        server.should_exit = True
        thread.join()


def test_an_export_comes_from_the_pages_server(pages: str, tmp_path: Path) -> None:
    target = tmp_path / "out"
    download(HttpExportSource(f"{pages}/exports/abc/raw"), target, media=False)
    (target / "data").mkdir()
    (target / "data" / ".a.tif.part").write_bytes(CONTENT["data/a.tif"][:1000])
    download(HttpExportSource(f"{pages}/exports/abc/raw"), target)
    assert brought(target) == CONTENT


@pytest.mark.parametrize(
    "path", ["abc/raw/../../../registry.db", "abc/raw/%2e%2e/%2e%2e/%2e%2e/registry.db", "no/raw"]
)
def test_nothing_else_is_served(pages: str, path: str, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="404"):
        download(HttpExportSource(f"{pages}/exports/{path}"), tmp_path / "out")


@pytest.mark.parametrize(
    "path",
    [
        "abc/raw/../../manifest.parquet",
        "abc/raw/%2e%2e/%2E%2E/manifest.parquet",
        "abc/raw/..%2f..%2fmanifest.parquet",
        "abc/../manifest.parquet",
        "abc/%2e%2e/manifest.parquet",
        "%2e%2e/registry.db",
        "abc/raw/../coco/export.json",
        "abc/raw/data/../../raw/../../manifest.parquet",
        "abc/raw//etc/passwd",
        "abc/raw/%2Fetc%2Fpasswd",
        "abc/raw/link.parquet",
        "abc/raw/folder/manifest.parquet",
        "abc/coco/export.json",
        "abc/hdf5/manifest.parquet",
        "linked/raw/export.json",
        "abc/.raw.0123.part/half.tif",
        "abc/raw/a%00b",
        f"abc/raw/{'x' * 300}",
    ],
)
def test_nothing_outside_of_an_export_is_served(pages: str, path: str, tmp_path: Path) -> None:
    home = FactoryHome(tmp_path / "home")
    files = home.version("abc")
    files.manifest.write_bytes(b"secret")
    (files.export("raw") / "link.parquet").symlink_to(files.manifest)
    (files.export("raw") / "folder").symlink_to(files.root)
    part = files.export(".raw.0123.part")
    part.mkdir()
    (part / "half.tif").touch()
    elsewhere = make_export(tmp_path / "elsewhere")
    files.export("coco").symlink_to(elsewhere)
    files.export("hdf5").symlink_to(files.root)
    home.version("linked").export("raw").parent.mkdir(parents=True)
    home.version("linked").export("raw").symlink_to(elsewhere)
    host = pages.removeprefix("http://")
    # Sent as it is written: most clients take `..` out before they ask.
    with closing(HTTPConnection(host, timeout=10)) as connection:
        connection.request("GET", f"/exports/{path}")
        assert connection.getresponse().status == 404
        connection.close()
        connection.request("GET", "/exports/abc/raw/labels.json")
        assert connection.getresponse().status == 200


def test_a_server_with_faults_gives_the_same_files(export: Path, tmp_path: Path) -> None:
    with faulty_server(export) as address:
        assert brought(download(HttpExportSource(address), tmp_path / "out")) == CONTENT


def test_a_server_that_is_away_is_said(tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="the server does not respond"):
        download(HttpExportSource("http://127.0.0.1:9/exports/abc/raw"), tmp_path / "out")


class faulty_server:  # noqa: N801
    """Serves a folder; the first answer for each file is a 503, the second breaks off half way."""

    def __init__(self, folder: Path) -> None:
        asked: dict[str, int] = {}

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                name = self.path.lstrip("/").replace("%20", " ")
                asked[name] = asked.get(name, 0) + 1
                if name != LISTING and asked[name] == 1:
                    self.send_error(503)
                    return
                start = int(self.headers.get("Range", "bytes=0-")[6:-1])
                data = (folder / name).read_bytes()
                self.send_response(206 if start else 200)
                self.send_header("Content-Length", str(len(data) - start))
                self.end_headers()
                cut = (start + len(data)) // 2 if name != LISTING and asked[name] == 2 else len(data)
                self.wfile.write(data[start:cut])
                self.close_connection = True

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    def __enter__(self) -> str:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{self._server.server_port}"

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
