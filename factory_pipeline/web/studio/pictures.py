"""Small pictures of datasets and items: drawn once, kept in the home, served as WebP.

Nothing of an upload is served as it came: every picture is decoded and written anew.
"""

from collections.abc import Callable, Mapping
from io import BytesIO
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from PIL import Image
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from factory_pipeline.config.build_settings import BuildSettings
from factory_pipeline.config.intake_policy import IntakePolicy
from factory_pipeline.datalake.registry.records import Collection
from factory_pipeline.datasets.versions.collection_tables import CollectionTables
from factory_pipeline.datasets.versions.manifest import scan_manifest
from factory_pipeline.datasets.versions.media import MediaReader
from factory_pipeline.errors import FactoryError
from factory_pipeline.hdf5.preview import chip_sheet
from factory_pipeline.onboarding.onboarding import Onboarding
from factory_pipeline.onboarding.page.layers import compositions, draw_composition
from factory_pipeline.storage.atomic import atomic_write
from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline.web.studio.context import Studio, studio_of

SIDE = 360
"""Longer side of a card's picture in pixels."""
PERCENTILES = (2, 98)
CACHE = {"Cache-Control": "private, max-age=600"}


def upload_picture(request: Request) -> Response:
    """Serve the first image of an onboarded dataset in its first composition."""
    studio = studio_of(request)
    name, version = request.path_params["name"], request.path_params["version"]
    key = f"{name}@{version}"
    files = studio.home.upload(key)
    if not _is_plain(name, version) or not files.finished.root.exists() or not files.received.exists():
        raise HTTPException(404)

    def draw() -> bytes:
        onboarding = Onboarding(key, studio.home, IntakePolicy.of_home(studio.home))
        row = onboarding.index.head(1).collect().row(0, named=True)
        composition = compositions(onboarding.manifest.data_sources, onboarding.parameters())[0]
        paths = {image["modality_tag"]: image["path"] for image in row["images"]}
        return draw_composition(files.finished.root / paths[composition.modality], composition, SIDE)

    return kept_picture(studio, f"upload-{key}", draw)


def version_picture(request: Request) -> Response:
    """Serve the first item of a version."""
    studio, version_id = studio_of(request), request.path_params["version_id"]
    manifest = studio.home.version(version_id).manifest
    if not _is_plain(version_id) or not manifest.exists():
        raise HTTPException(404)

    def draw() -> bytes:
        [media] = scan_manifest(manifest).select("media").head(1).collect()["media"].to_list()
        return draw_media(studio.home, media[0])

    return kept_picture(studio, f"version-{version_id}", draw)


def collection_picture(request: Request) -> Response:
    """Serve the first item of a collection."""
    studio = studio_of(request)
    collection = collection_of(studio, request.path_params["collection"])

    def draw() -> bytes:
        tables = CollectionTables.of(studio.registry, studio.home, collection)
        [media] = tables.items.select("media").head(1).collect()["media"].to_list()
        return draw_media(studio.home, media[0])

    return kept_picture(studio, f"collection-{collection.id}", draw)


def build_picture(request: Request) -> Response:
    """Serve a few chips of the build that the home works on."""
    studio = studio_of(request)
    try:
        file = BuildSettings.load(studio.home).files.fused("train")
        sheet = chip_sheet(file, samples=3)
    except (FactoryError, OSError):
        raise HTTPException(404) from None
    with Image.open(BytesIO(sheet)) as drawn:
        return Response(_webp(drawn.convert("RGB")), media_type="image/webp", headers=CACHE)


def draw_media(home: FactoryHome, media: Mapping[str, Any], side: int = SIDE) -> bytes:
    """Draw a raster of an item: in true colour where its bands are known, else its first band in grey.

    Args:
        home: that paths start from.
        media: as in `schemas.MEDIA`.
        side: longer side of the picture in pixels.

    Raises:
        LakeError: the raster is missing, or is not what it was.
    """
    reader = MediaReader(home)
    try:
        values = reader.read(media)
    finally:
        reader.close()
    return draw_values(values, media["rgb"], media["nodata"], side)


def draw_values(
    values: NDArray[Any],
    rgb: list[int] | None,
    nodata: float | None = None,
    side: int = SIDE,
    like: NDArray[Any] | None = None,
) -> bytes:
    """Draw (bands, height, width) as WebP, each band stretched from its 2nd to its 98th percentile.

    Args:
        values: (bands, height, width).
        rgb: positions of red, green and blue; None for the first band in grey.
        nodata: value that does not count for the stretch and is drawn black.
        side: longest side in pixels.
        like: another image of the same bands whose percentiles are used, so that the two can be compared.
    """
    others = values if like is None else like
    grey = [
        _stretch(values[band].astype(np.float32), others[band].astype(np.float32), nodata)
        for band in rgb or [0]
    ]
    return draw_picture(np.stack(grey if len(grey) == 3 else grey * 3), side)


def draw_picture(bands: NDArray[Any], side: int) -> bytes:
    """Return an RGB picture as WebP.

    Args:
        bands: (3, height, width), values 0 to 255.
        side: pixels of the longer side; a smaller picture is enlarged.
    """
    image = Image.fromarray(np.moveaxis(bands, 0, -1).astype(np.uint8))
    scale = side / max(image.size)
    size = tuple(max(round(edge * scale), 1) for edge in image.size)
    return _webp(
        image.resize((size[0], size[1]), Image.Resampling.BILINEAR if scale < 1 else Image.Resampling.NEAREST)
    )


def _stretch(band: NDArray[np.float32], like: NDArray[np.float32], nodata: float | None) -> NDArray[np.uint8]:
    known = like[_is_valid(like, nodata)]
    if not known.size:
        return np.zeros(band.shape, np.uint8)
    low, high = np.percentile(known, PERCENTILES)
    scaled = (np.nan_to_num(band) - low) / max(high - low, 1e-9)
    valid = np.where(_is_valid(band, nodata), scaled, 0)
    drawn: NDArray[np.uint8] = (valid.clip(0, 1) * 255).astype(np.uint8)
    return drawn


def _is_valid(band: NDArray[np.float32], nodata: float | None) -> NDArray[np.bool_]:
    return np.isfinite(band) if nodata is None else np.isfinite(band) & (band != nodata)


def collection_of(studio: Studio, collection_id: str) -> Collection:
    """Return a collection that an address names.

    Args:
        studio: whose registry is read.
        collection_id: from the address.

    Raises:
        HTTPException: 404 if there is none.
    """
    try:
        return studio.registry.collection(collection_id)
    except FactoryError:
        raise HTTPException(404) from None


def media_of(studio: Studio, collection: Collection, item: str) -> list[dict[str, Any]]:
    """Return the rasters of an item, as in `schemas.MEDIA`; none where the collection has no such item.

    Args:
        studio: whose home has the tables.
        collection: of the item.
        item: its id.
    """
    tables = CollectionTables.of(studio.registry, studio.home, collection)
    rows = tables.items.filter(pl.col("id") == item).select("media").head(1).collect()
    return rows["media"][0].to_list() if rows.height else []


def _webp(image: Image.Image) -> bytes:
    stored = BytesIO()
    image.save(stored, "WEBP", quality=80)
    return stored.getvalue()


def kept_picture(studio: Studio, name: str, draw: Callable[[], bytes]) -> Response:
    """Serve a picture of what never changes, drawn where it is not there yet.

    Args:
        studio: its home.
        name: of the file.
        draw: makes the picture (WebP).
    """
    path = studio.home.studio.picture(name)
    if not path.exists():
        try:
            drawn = draw()
        except (FactoryError, OSError, KeyError, IndexError, ValueError):
            # A picture is no reason for a page to fail; what is damaged is told by the dataset's own page.
            raise HTTPException(404) from None
        with atomic_write(path) as temporary:
            temporary.write_bytes(drawn)
    return FileResponse(path, media_type="image/webp", headers=CACHE)


def _is_plain(*parts: str) -> bool:
    """Return whether parts of a path are names, which lead nowhere else."""
    return all(part and "/" not in part and "\0" not in part and part not in (".", "..") for part in parts)


ROUTES = [
    Route("/pictures/datasets/{name}/{version}.webp", upload_picture),
    Route("/pictures/versions/{version_id}.webp", version_picture),
    Route("/pictures/collections/{collection}.webp", collection_picture),
    Route("/pictures/build.webp", build_picture),
]
