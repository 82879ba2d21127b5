"""Runs on a remote Dagster web server, by its GraphQL API: start a job, wait for it, read its log.

Schema: https://docs.dagster.io/api/graphql, as the web server of the installed version serves it.
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import requests

from factory_pipeline.datasets.versions.read_calls import READ_PATH, authorization
from factory_pipeline.errors import ARGUMENT_ERROR, ArgumentError, RemoteError
from factory_pipeline.redaction import display

CONNECT_S, READ_S = 10, 60
SECONDS_BETWEEN_LOOKS = 1.0
ENDED = ("SUCCESS", "FAILURE", "CANCELED")

_REPOSITORIES = """
query { repositoriesOrError { ... on RepositoryConnection { nodes {
  name location { name } pipelines { name }
} } ... on PythonError { message } } }
"""
_LAUNCH = """
mutation($params: ExecutionParams!) { launchRun(executionParams: $params) {
  __typename
  ... on LaunchRunSuccess { run { runId } }
  ... on RunConfigValidationInvalid { errors { message } }
  ... on Error { message }
} }
"""
_LOOK = """
query($run: ID!, $cursor: String) {
  runOrError(runId: $run) { ... on Run { status } ... on Error { message } }
  logsForRun(runId: $run, afterCursor: $cursor) { ... on EventConnection { cursor hasMore events {
    __typename
    ... on MessageEvent { message }
    ... on ExecutionStepFailureEvent {
      stepKey
      failureMetadata { description metadataEntries { ...entry } }
      error { message causes { message } }
    }
    ... on MaterializationEvent { assetKey { path } metadataEntries { ...entry } }
    ... on ExecutionStepOutputEvent { stepKey metadataEntries { ...entry } }
  } } }
}
fragment entry on MetadataEntry {
  label
  ... on TextMetadataEntry { text }
  ... on JsonMetadataEntry { jsonString }
  ... on UrlMetadataEntry { url }
  ... on IntMetadataEntry { intValue }
}
"""
_VALUES = ("text", "jsonString", "url", "intValue")


_LACKING = (requests.codes.not_found, requests.codes.method_not_allowed)


class NoReadsError(Exception):
    """A web server without the factory's endpoint for reads."""


@dataclass
class Heard:
    """The log of a run so far."""

    metadata: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Text, JSON text, numbers and addresses by label, by asset or step."""
    failures: list[str] = field(default_factory=list)
    argument_error: ArgumentError | None = None
    """That of a step that found an argument not allowed."""


@dataclass(frozen=True)
class DagsterServer:
    """A web server with this project's definitions."""

    address: str
    """Such as `http://factory:3000`; from `web_address`."""

    @property
    def shown_address(self) -> str:
        """The address for messages: without a user's name and password."""
        return display(self.address)

    def run(
        self,
        job: str,
        config: Mapping[str, Any],
        *,
        assets: Sequence[str] = (),
        partition: str | None = None,
        on_message: Callable[[str], object] | None = None,
    ) -> Mapping[str, Mapping[str, Any]]:
        """Start a run and wait until it has ended; return the metadata of its assets or steps.

        Args:
            job: name of the job.
            config: the run's configuration.
            assets: those of the job that are made; empty means all.
            partition: key of the partition.
            on_message: called with each line of the run's log.

        Raises:
            ArgumentError: a step found that an argument is not allowed.
            RemoteError: the server can't be reached or has no such job, or the run failed; the message is
                what the failed step said.
        """
        run_id = self._launch(job, config, assets, partition)
        heard, cursor = Heard(), None
        while True:
            found = self._ask(_LOOK, {"run": run_id, "cursor": cursor})
            status = found["runOrError"].get("status")
            if status is None:
                raise RemoteError(f"{self.shown_address} no longer has the run {run_id}.")
            events = found["logsForRun"]
            for event in events.get("events", []):
                _hear(event, heard, on_message)
            cursor = events.get("cursor", cursor)
            # Events may be written a moment after the status, so they are requested once more.
            if status in ENDED and not events.get("hasMore") and not events.get("events"):
                break
            time.sleep(SECONDS_BETWEEN_LOOKS)
        if heard.argument_error is not None:
            raise heard.argument_error
        if status != "SUCCESS":
            raise RemoteError(" ".join(dict.fromkeys(heard.failures)) or f"The run {run_id} ended: {status}.")
        return heard.metadata

    def read(self, call: str, arguments: Mapping[str, Any]) -> Any:
        """Return the answer to a call that changes nothing, without a run.

        Args:
            call: one that changes nothing, such as `datasets` or `export`.
            arguments: of that call, by name; values that JSON can represent.

        Raises:
            ArgumentError: an argument is not allowed.
            NoReadsError: the server has no endpoint for reads, as a plain Dagster web server.
            RemoteError: the server can't be reached, or can't answer; the message says why.
        """
        try:
            answer = requests.post(
                f"{self.address}{READ_PATH}",
                json={"call": call, "arguments": arguments},
                headers=authorization(),
                timeout=(CONNECT_S, READ_S),
            )
            if answer.status_code in _LACKING or "json" not in answer.headers.get("content-type", ""):
                raise NoReadsError(f"{self.shown_address} does not support reads.")
            said = answer.json()
        except requests.RequestException as error:
            raise self._unavailable_error(error) from None
        if "argument_error" in said:
            raise ArgumentError(**said["argument_error"])
        if "answer" not in said:
            raise RemoteError(
                said.get("error") or f"{self.shown_address} responded with status {answer.status_code}."
            )
        return said["answer"]

    def _unavailable_error(self, error: requests.RequestException) -> RemoteError:
        return RemoteError(
            f"No Dagster web server responds at {self.shown_address} ({type(error).__name__})."
        )

    def _launch(
        self, job: str, config: Mapping[str, Any], assets: Sequence[str], partition: str | None
    ) -> str:
        repository, location = self._home_of(job)
        selector: dict[str, Any] = {
            "repositoryName": repository,
            "repositoryLocationName": location,
            "pipelineName": job,
        }
        if assets:
            selector["assetSelection"] = [{"path": [name]} for name in assets]
        tags = [{"key": "dagster/partition", "value": partition}] if partition else []
        params = {"selector": selector, "runConfigData": config, "executionMetadata": {"tags": tags}}
        answer = self._ask(_LAUNCH, {"params": params})["launchRun"]
        if answer["__typename"] != "LaunchRunSuccess":
            said = [error["message"] for error in answer.get("errors", [])] or [answer.get("message", "")]
            raise RemoteError(f"{self.shown_address} did not start {job}: {' '.join(said)}")
        return str(answer["run"]["runId"])

    def _home_of(self, job: str) -> tuple[str, str]:
        """Repository and location of a job."""
        for node in self._ask(_REPOSITORIES, {})["repositoriesOrError"].get("nodes", []):
            if any(pipeline["name"] == job for pipeline in node["pipelines"]):
                return node["name"], node["location"]["name"]
        raise RemoteError(
            f"{self.shown_address} has no job {job}; it must serve factory_pipeline of this version or newer."
        )

    def _ask(self, query: str, variables: Mapping[str, Any]) -> dict[str, Any]:
        try:
            answer = requests.post(
                f"{self.address}/graphql",
                json={"query": query, "variables": variables},
                headers=authorization(),
                timeout=(CONNECT_S, READ_S),
            )
            answer.raise_for_status()
            found = answer.json()
        except requests.RequestException as error:
            raise self._unavailable_error(error) from None
        if found.get("errors"):
            raise RemoteError(
                f"{self.shown_address} did not accept the query: {found['errors'][0]['message']}"
            )
        return dict(found["data"])


def web_address(text: str) -> str:
    """Return the address of a web server as a user gives it, with `http://` where no scheme is given.

    Raises:
        ArgumentError: it is not the address of a web server.
    """
    allowed = "it must be the address of the factory's web UI, such as http://factory:3000"
    if not isinstance(text, str):
        raise ArgumentError("address", text, allowed)
    address = text.strip()
    if "://" not in address:
        address = f"http://{address}"
    try:
        parts = urlsplit(address)
        is_web = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 0) >= 0
    except ValueError:
        is_web = False
    if not is_web:
        raise ArgumentError("address", text.rpartition("@")[2], allowed)
    return address.rstrip("/")


def _hear(event: Mapping[str, Any], heard: Heard, on_message: Callable[[str], object] | None) -> None:
    kind = event["__typename"]
    if kind == "ExecutionStepFailureEvent":
        heard.failures.append(_why(event))
        said = _values_of((event.get("failureMetadata") or {}).get("metadataEntries") or [])
        if ARGUMENT_ERROR in said:
            heard.argument_error = ArgumentError(**json.loads(said[ARGUMENT_ERROR]))
    if event.get("metadataEntries") is not None:
        asset = event.get("assetKey")
        name = "/".join(asset["path"]) if asset else event.get("stepKey") or ""
        heard.metadata.setdefault(name, {}).update(_values_of(event["metadataEntries"]))
    if on_message is not None and kind == "LogMessageEvent":
        on_message(event["message"])


def _values_of(entries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the values of metadata by label."""
    return {
        entry["label"]: next((entry[key] for key in _VALUES if entry.get(key) is not None), None)
        for entry in entries
    }


def _why(event: Mapping[str, Any]) -> str:
    """Return what a failed step said, in the words of its own error."""
    if description := (event.get("failureMetadata") or {}).get("description"):
        return str(description)
    error = event.get("error") or {}
    causes = error.get("causes") or []
    return str((causes[-1] if causes else error).get("message", "A step failed.")).strip()
