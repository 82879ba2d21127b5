"""A factory elsewhere, as the SDK uses it: its Dagster web server starts the same jobs."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from factory_pipeline.datasets.exports.download import ExportSource, HttpExportSource
from factory_pipeline.datasets.exports.formats import format_named
from factory_pipeline.datasets.progress_text import fraction_said
from factory_pipeline.datasets.versions.read_calls import READ_CALLS
from factory_pipeline.datasets.versions.summaries import VersionSummary
from factory_pipeline.sdk.backend import Created, OnProgress
from factory_pipeline.sdk.graphql import DagsterServer, NoReadsError, web_address

ONLY_THERE = ("127.0.0.1", "0.0.0.0", "localhost", "::1")


class RemoteBackend:
    """Works where a Dagster web server is."""

    def __init__(self, address: str) -> None:
        """Nothing is asked of the server yet.

        Raises:
            ArgumentError: the address is none of a web server.
        """
        self._server = DagsterServer(web_address(address))

    def check(self, arguments: Mapping[str, Any]) -> None:
        """As `sdk.factory.Factory` says; without an endpoint for reads, the run itself checks them."""
        with suppress(NoReadsError):
            self._server.read("check", arguments)

    def create(self, arguments: Mapping[str, Any], on_progress: OnProgress) -> Created:
        """As `sdk.factory.Factory` says."""
        said = self._server.run(
            "create_dataset_version",
            {"ops": {"dataset_version": {"config": arguments}}},
            on_message=_shown(on_progress, "Choosing items", "Writing items"),
        )
        return Created.told_by(said["dataset_version"])

    def export(self, version: VersionSummary, export_type: str, on_progress: OnProgress) -> None:
        """As `sdk.factory.Factory` says."""
        self._exported(version, export_type, on_progress)

    @contextmanager
    def source(
        self, version: VersionSummary, export_type: str, on_progress: OnProgress
    ) -> Iterator[ExportSource]:
        """As `sdk.factory.Factory` says; a finished one is known to the endpoint for reads.

        Else the run that makes an export, or finds it made, says where it lies.
        Files come from a plain file server, which holds nothing: a version that is deleted meanwhile ends the
        download with an error.
        """
        url = None
        with suppress(NoReadsError):
            url = self._server.read("export", {"version_id": version.id, "export_type": export_type})
        if url is None:
            url = self._exported(version, export_type, on_progress)["download"]
        yield HttpExportSource(seen_from_here(url, self._server.address))

    def handle(self, call: str, **arguments: Any) -> Any:
        """As `sdk.factory.Factory` says: by the endpoint for reads, else by a run."""
        if call in READ_CALLS:
            with suppress(NoReadsError):
                return self._server.read(call, arguments)
        config = {"ops": {"answered_call": {"config": {"name": call, "arguments": arguments}}}}
        return json.loads(self._server.run("call_datasets", config)["answered_call"]["answer"])

    def _exported(
        self, version: VersionSummary, export_type: str, on_progress: OnProgress
    ) -> Mapping[str, Any]:
        form = format_named(export_type)
        said = self._server.run(
            "export_version",
            {},
            assets=[form.asset],
            partition=version.partition,
            on_message=_shown(on_progress, f"Writing {form.name}", f"Writing {form.name}"),
        )
        return said[form.asset]


def seen_from_here(url: str, server: str) -> str:
    """The address of a file as this machine reaches it: a server knows itself by path or as loopback only."""
    if url.startswith("/"):
        return server.rstrip("/") + url
    parts, host = urlsplit(url), urlsplit(server).hostname
    if parts.hostname not in ONLY_THERE or host is None:
        return url
    return urlunsplit(parts._replace(netloc=f"{host}:{parts.port}"))


def _shown(on_progress: OnProgress, step: str, counted: str) -> Callable[[str], object]:
    """Tell that a step begins; gives what is to be told each line of the run's log.

    Args:
        on_progress: is told the progress.
        step: how the work begins.
        counted: what it is called once items are counted.
    """
    on_progress(step, 0.0)

    def show(message: str) -> None:
        fraction = fraction_said(message)
        if fraction is None:
            on_progress(f"{step}: {message}", 0.0)
        else:
            on_progress(counted, fraction)

    return show
