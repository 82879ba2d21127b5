"""Neuroglancer precomputed volumes, in folders, on web servers and in object stores, read by tensorstore.

Each chunk is read once for as long as it stays in the cache, which all volumes of a `VolumeReader` share and
whose size is limited. Credentials are those of the environment; without any, requests are anonymous.
"""

import math
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit, urlunsplit

import numpy as np
import requests
from numpy.typing import NDArray

from factory_pipeline.errors import DocumentError, VolumeError, VolumeUnavailableError
from factory_pipeline.json_document import parse_json
from factory_pipeline.redaction import display, redact
from factory_pipeline.volumes.boxes import Box
from factory_pipeline.volumes.spec import PRECOMPUTED
from factory_pipeline.web_retries import PatientAdapter

if TYPE_CHECKING:
    # Of the extra `volumes`; the code location loads without it.
    import tensorstore as ts

Pixels = NDArray[np.float32]
CACHE_BYTES = 512 << 20
"""Default size of the cache of decoded chunks."""
_ROUNDS = 3
"""Times that a read is started again after its server has recovered."""
_TRANSIENT = ("ABORTED", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "UNAVAILABLE")
"""Statuses of tensorstore after which a later read may succeed."""
_MISSING_CHUNK = re.compile(r"NOT_FOUND: chunk \{([^}]*)\}")


@dataclass(frozen=True)
class Retries:
    """Retries of requests to one server: those of the block engine."""

    retries: int = 6
    """Attempts after the first one."""
    pause_s: float = 0.5
    """Seconds before the first retry; doubled for each that follows, up to 20."""
    longest_wait_s: float = 600.0
    """Seconds that a busy web server, which may say how long (Retry-After), is waited for, and that one read
    may take.
    """


@dataclass(frozen=True)
class Scale:
    """One resolution of a volume, as its info describes it."""

    index: int
    """Position in the info's list."""
    key: str
    """Name of its folder."""
    resolution: tuple[float, float, float]
    """Nanometres per voxel: x, y, z."""
    offset: tuple[int, int, int]
    size: tuple[int, int, int]
    chunk: tuple[int, int, int]


class VolumeReader:
    """Opens volumes; all share one cache of chunks. Threads may share a reader."""

    def __init__(
        self,
        *,
        fill_missing: bool = False,
        cache_bytes: int = CACHE_BYTES,
        retries: Retries | None = None,
    ) -> None:
        """Set what holds for all volumes.

        Args:
            fill_missing: read chunks that do not exist, and what is outside a volume, as zeros.
            cache_bytes: size of the cache of decoded chunks.
            retries: of requests that failed for a transient reason.
        """
        import tensorstore as ts

        self._open_volume, self._open_files = ts.open, ts.KvStore.open
        self.fill_missing = fill_missing
        self.retries = retries or Retries()
        attempts = {
            "max_retries": max(self.retries.retries, 1),
            "initial_delay": f"{self.retries.pause_s}s",
            "max_delay": "20s",
        }
        self._context = ts.Context(
            {
                "cache_pool": {"total_bytes_limit": cache_bytes},
                "http_request_retries": attempts,
                "gcs_request_retries": attempts,
                "s3_request_retries": attempts,
            }
        )

    def open(self, address: str) -> "Volume":
        """Open a volume: only its info is read.

        Args:
            address: absolute path, or address with a scheme of `spec.SCHEMES`.

        Raises:
            VolumeError: it can't be read or is not a precomputed volume.
        """
        store = self.run(
            address,
            lambda: self._open_files(_store(address), context=self._context),
        )
        info = self.run(address, lambda: store.read("info"))
        if info.state != "value":
            raise VolumeError(f"{display(address)} is not a precomputed volume: it has no file 'info'.")
        return Volume(self, address, *_parse_info(info.value, display(address)))

    def open_scale(self, address: str, scale: Scale) -> "ts.TensorStore":
        """Open one resolution of a volume for reading.

        Args:
            address: of the volume.
            scale: one of its resolutions.

        Raises:
            VolumeError: it can't be read.
        """
        store = _store(address)
        if store["driver"] == "file" and any(Path(store["path"], scale.key).glob("*.gz")):
            # Read as missing, all of them would be zeros.
            raise VolumeError(
                f"{display(address)} has chunks compressed as .gz, which are read from web servers and object"
                " stores alone: write it without compression."
            )
        spec = {
            "driver": "neuroglancer_precomputed",
            "kvstore": store,
            "scale_index": scale.index,
            "fill_missing_data_reads": self.fill_missing,
            "recheck_cached_data": False,
            "recheck_cached_metadata": "open",
        }
        return self.run(address, lambda: self._open_volume(spec, read=True, open=True, context=self._context))

    def run(
        self, address: str, start: Callable[[], "ts.Future[Any]"], begun: "ts.Future[Any] | None" = None
    ) -> Any:
        """Start an operation, and again where its server was unavailable and has recovered.

        Args:
            address: of the volume.
            start: starts the operation.
            begun: the operation if it has already been started once.

        Raises:
            VolumeUnavailableError: the server does not respond after all retries.
            VolumeError: it refuses, a chunk is missing, or what it sent is broken.
        """
        for last in (*[False] * (_ROUNDS - 1), True):
            try:
                future, begun = begun or start(), None
                return future.result(timeout=self.retries.longest_wait_s)
            except TimeoutError as error:
                raise VolumeUnavailableError(
                    f"{display(address)} is unavailable: a read took more than"
                    f" {self.retries.longest_wait_s:g} seconds."
                ) from error
            except ValueError as error:
                refused = _to_error(error, address)
                if (
                    last
                    or not isinstance(refused, VolumeUnavailableError)
                    or not self._wait_until_recovered(address)
                ):
                    raise refused from None
        raise AssertionError("the last round returns or raises")

    def _wait_until_recovered(self, address: str) -> bool:
        """Wait until a web server answers again, as long as it asks to; return whether it does."""
        location = address.removeprefix(PRECOMPUTED)
        if not location.startswith(("http://", "https://")):
            return False
        parts = urlsplit(location)
        with requests.Session() as session:
            for scheme in ("http://", "https://"):
                session.mount(scheme, PatientAdapter(self.retries.longest_wait_s))
            try:
                url = urlunsplit(parts._replace(path=parts.path.rstrip("/") + "/info"))
                return session.get(url).status_code == requests.codes.ok
            except requests.RequestException:
                return False


class Volume:
    """An open volume."""

    def __init__(
        self, reader: VolumeReader, address: str, data_type: str, channels: int, scales: list[Scale]
    ) -> None:
        """Remember what the info says."""
        self._reader = reader
        self._address = address
        self.name = display(address)
        """The address without credentials."""
        self.data_type = data_type
        self.channels = channels
        self.scales = scales

    def at(self, mip: int, mip0: tuple[float, float, float]) -> "VolumeMip":
        """Return the volume at a mip.

        Args:
            mip: the resolution is `mip0` with x and y times 2**mip.
            mip0: nanometres per voxel of MIP 0: x, y, z.

        Raises:
            VolumeError: the volume has no such resolution.
        """
        needed = (mip0[0] * 2**mip, mip0[1] * 2**mip, mip0[2])
        for scale in self.scales:
            if all(math.isclose(a, b, rel_tol=1e-6) for a, b in zip(scale.resolution, needed, strict=True)):
                store = self._reader.open_scale(self._address, scale)
                return VolumeMip(self._reader, self._address, store, mip, scale)
        raise VolumeError(
            f"{self.name} has no MIP {mip}, which is {_nanometres(needed)};"
            f" it has {', '.join(_nanometres(scale.resolution) for scale in self.scales)}."
        )


class VolumeMip:
    """A volume at one mip."""

    def __init__(
        self, reader: VolumeReader, address: str, store: "ts.TensorStore", mip: int, scale: Scale
    ) -> None:
        """Remember what is read from where."""
        self._reader = reader
        self._address = address
        self._store = store
        self.name = display(address)
        self.mip = mip
        self.scale = scale

    def outside(self, box: Box) -> str | None:
        """Return what of a box is outside the volume, as words; None if it is inside."""
        ranges = (*box.pixels(self.mip), slice(box.z, box.z + 1))
        parts = [
            f"{axis} {span.start}..{span.stop} of {start}..{start + size}"
            for axis, span, start, size in zip("xyz", ranges, self.scale.offset, self.scale.size, strict=True)
            if span.start < start or span.stop > start + size
        ]
        return f"{' and '.join(parts)} at MIP {self.mip} of {self.name}" if parts else None

    def start_read(self, box: Box) -> Callable[[], Pixels]:
        """Start to read a box, so that several are on their way at the same time.

        Args:
            box: what of it is outside the volume is read as zeros.

        Returns:
            A function that waits for the values and returns them, (channels, x, y). It raises VolumeError if
            they can't be read, or if a chunk is missing and is not to be read as zeros.
        """
        spans = box.pixels(self.mip)
        channels = self._store.shape[3]
        values = np.zeros((channels, *(span.stop - span.start for span in spans)), np.float32)
        inside = [
            slice(max(span.start, start), min(span.stop, start + size))
            for span, start, size in zip(spans, self.scale.offset, self.scale.size, strict=False)
        ]
        section = box.z - self.scale.offset[2]
        if not 0 <= section < self.scale.size[2] or any(span.start >= span.stop for span in inside):
            return lambda: values
        window = self._store[inside[0], inside[1], box.z]
        begun = window.read()

        def finish() -> Pixels:
            read = self._reader.run(self._address, window.read, begun)
            x, y = (
                slice(part.start - span.start, part.stop - span.start)
                for part, span in zip(inside, spans, strict=True)
            )
            values[:, x, y] = np.moveaxis(read, -1, 0)
            return values

        return finish


def _store(address: str) -> dict[str, Any]:
    """Return the key-value store of tensorstore that an address means."""
    location = address.removeprefix(PRECOMPUTED)
    if location.startswith("/"):
        return {"driver": "file", "path": location.rstrip("/") + "/"}
    parts = urlsplit(location)
    if parts.scheme == "file":
        return {"driver": "file", "path": unquote(parts.path).rstrip("/") + "/"}
    if parts.scheme in ("http", "https"):
        # The path is encoded by tensorstore.
        path = unquote(parts.path).rstrip("/") + "/"
        return {"driver": "http", "base_url": urlunsplit(parts._replace(path="")), "path": path}
    path = parts.path.strip("/") + "/" if parts.path.strip("/") else ""
    if parts.scheme == "gs":
        return {"driver": "gcs", "bucket": parts.netloc, "path": path}
    if parts.scheme == "s3":
        return {"driver": "s3", "bucket": parts.netloc, "path": path, **_s3_options()}
    raise VolumeError(f"{display(address)} is not an address of a volume.")


def _s3_options() -> dict[str, Any]:
    """Return server and signing by the variables of the environment that other programs read too."""
    options: dict[str, Any] = {}
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    if endpoint:
        options["endpoint"] = endpoint
        region = region or "us-east-1"
    if region:
        options["aws_region"] = region
    if os.environ.get("AWS_NO_SIGN_REQUEST", "").lower() in ("1", "true", "yes"):
        options["aws_credentials"] = {"type": "anonymous"}
    return options


def _parse_info(content: bytes, name: str) -> tuple[str, int, list[Scale]]:
    try:
        info = parse_json(content, "its file 'info'")
        scales = [
            Scale(
                index,
                str(scale["key"]),
                _to_triple(float, scale["resolution"]),
                _to_triple(int, scale.get("voxel_offset", (0, 0, 0))),
                _to_triple(int, scale["size"]),
                _to_triple(int, scale["chunk_sizes"][0]),
            )
            for index, scale in enumerate(info["scales"])
        ]
        data_type, channels = str(info["data_type"]), int(info["num_channels"])
    except (DocumentError, ValueError, TypeError, LookupError, AttributeError, OverflowError) as error:
        raise VolumeError(
            f"{name} is not a precomputed volume: its file 'info' is not a valid description"
            f" ({type(error).__name__}: {error})."
        ) from error
    if not scales:
        raise VolumeError(f"{name} has no resolution: its file 'info' lists no scales.")
    return data_type, channels, scales


def _to_triple(kind: Callable[[Any], Any], values: Any) -> tuple[Any, Any, Any]:
    x, y, z = map(kind, values)
    return x, y, z


def _nanometres(resolution: tuple[float, ...]) -> str:
    return "x".join(f"{value:g}" for value in resolution) + " nm"


def _to_error(error: ValueError, address: str) -> VolumeError:
    name = display(address)
    # Behind it tensorstore writes what it was asked, credentials too.
    text = redact(str(error).partition(" [tensorstore_spec=")[0].split("\n")[0])
    if missing := _MISSING_CHUNK.match(text):
        return VolumeError(
            f"{name} lacks the chunk {missing[1]}: if chunks without data were never written,"
            " --fill-missing reads them as zeros."
        )
    if text.startswith(_TRANSIENT):
        return VolumeUnavailableError(f"{name} is unavailable: {text}.")
    return VolumeError(f"{name} can't be read: {text}.")
