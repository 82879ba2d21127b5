"""A remote factory for the SDK: its Dagster web server starts the same jobs."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from factory_pipeline.datalake.ingest.releases.options import ReleaseOptions
from factory_pipeline.datalake.ingest.releases.report import ReleaseReport
from factory_pipeline.datasets.exports.download import ExportSource, HttpExportSource
from factory_pipeline.datasets.exports.formats import format_named
from factory_pipeline.datasets.progress_text import parse_fraction
from factory_pipeline.datasets.versions.read_calls import READ_CALLS
from factory_pipeline.datasets.versions.summaries import VersionSummary
from factory_pipeline.errors import ArgumentError
from factory_pipeline.redaction import display
from factory_pipeline.sdk.backend import Created, OnProgress, version_config
from factory_pipeline.sdk.graphql import DagsterServer, NoReadsError, web_address

if TYPE_CHECKING:
    from factory_pipeline.datasets.request import DatasetRequest

ONLY_THERE = ("127.0.0.1", "0.0.0.0", "localhost", "::1")


class RemoteBackend:
    """Works where a Dagster web server is."""

    def __init__(self, address: str) -> None:
        """Remember the server without a request.

        Raises:
            ArgumentError: it is not the address of a web server.
        """
        self._server = DagsterServer(web_address(address))

    def check(self, request: "DatasetRequest") -> None:
        """As `Backend`; without an endpoint for reads, the run itself checks them."""
        with suppress(NoReadsError):
            self._server.read("check", request.arguments())

    def create(self, request: "DatasetRequest", on_progress: OnProgress) -> Created:
        """As `Backend`."""
        said = self._server.run(
            "create_dataset_version",
            version_config(request),
            on_message=_report_step(on_progress, "Choosing items", "Writing items"),
        )
        return Created.from_metadata(said["dataset_version"])

    def export(self, version: VersionSummary, export_type: str, on_progress: OnProgress) -> None:
        """As `Backend`."""
        self._request_export(version, export_type, on_progress)

    @contextmanager
    def source(
        self, version: VersionSummary, export_type: str, on_progress: OnProgress
    ) -> Iterator[ExportSource]:
        """As `Backend`; a finished one is known to the endpoint for reads.

        Else the run that makes an export, or finds it made, says where it is. Files come from a plain file
        server, which contains nothing: a version that is deleted meanwhile ends the download with an error.
        """
        url = None
        with suppress(NoReadsError):
            url = self._server.read("export", {"version_id": version.id, "export_type": export_type})
        if url is None:
            url = self._request_export(version, export_type, on_progress)["download"]
        yield HttpExportSource(seen_from_here(url, self._server.address))

    def import_release(self, url: str, options: ReleaseOptions, on_progress: OnProgress) -> ReleaseReport:
        """As `Backend`: a run looks at the release and enters it, another one imports it.

        Raises:
            ArgumentError: the URL holds a secret, which would be kept in the configuration of the run.
        """
        if display(url) != url:
            raise ArgumentError(
                "url",
                display(url),
                "a factory elsewhere keeps the addresses that it is given, so an address must have no user,"
                " password, query or fragment",
            )
        config = {
            "url": url,
            "name": options.name,
            "mltype": options.ml_type and options.ml_type.value,
            "label_coordinates": options.label_coordinates and options.label_coordinates.value,
            "skip_invalid": options.skip_invalid,
        }
        given = {key: value for key, value in config.items() if value is not None}
        found = self._server.run(
            "receive_release",
            {"ops": {"received_release": {"config": given}}},
            on_message=_report_step(on_progress, "Looking at the release", "Looking at the release"),
        )
        said = self._server.run(
            "import_release",
            {},
            partition=found["received_release"]["release"],
            on_message=_report_step(on_progress, "Importing the release", "Importing the release"),
        )
        return ReleaseReport.of_unordered(json.loads(said["imported_release"]["report"]))

    def handle(self, call: str, **arguments: Any) -> Any:
        """As `Backend`: by the endpoint for reads, else by a run."""
        if call in READ_CALLS:
            with suppress(NoReadsError):
                return self._server.read(call, arguments)
        config = {"ops": {"answered_call": {"config": {"name": call, "arguments": arguments}}}}
        return json.loads(self._server.run("call_datasets", config)["answered_call"]["answer"])

    def _request_export(
        self, version: VersionSummary, export_type: str, on_progress: OnProgress
    ) -> Mapping[str, Any]:
        form = format_named(export_type)
        said = self._server.run(
            "export_version",
            {},
            assets=[form.asset],
            partition=version.partition,
            on_message=_report_step(on_progress, f"Writing {form.name}", f"Writing {form.name}"),
        )
        return said[form.asset]


def seen_from_here(url: str, server: str) -> str:
    """Return the address of a file as this machine reaches it.

    Args:
        url: as the server knows it: a path, or an address whose host may be loopback.
        server: address by which this machine reaches the server.
    """
    if url.startswith("/"):
        return server.rstrip("/") + url
    parts, host = urlsplit(url), urlsplit(server).hostname
    if parts.hostname not in ONLY_THERE or host is None:
        return url
    return urlunsplit(parts._replace(netloc=f"{host}:{parts.port}"))


def _report_step(on_progress: OnProgress, step: str, counted: str) -> Callable[[str], object]:
    """Report that a step begins; return the function to call with each line of the run's log.

    Args:
        on_progress: is told the progress.
        step: how the work begins.
        counted: what it is called once items are counted.
    """
    on_progress(step, 0.0)

    def show(message: str) -> None:
        fraction = parse_fraction(message)
        if fraction is None:
            on_progress(f"{step}: {message}", 0.0)
        else:
            on_progress(counted, fraction)

    return show
