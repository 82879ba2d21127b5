"""What a user of rslearn would run: `prepare` and `materialize` of windows from a STAC API.

A script for an interpreter that has rslearn; it needs nothing of this project. It prints a line when it is
ready, waits for one, works, and prints the number of rasters that it has written.
"""

import json
import logging
import os
import sys
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Any

# As the documentation of GDAL advises for COGs over HTTP.
os.environ.update(
    GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR",
    CPL_VSIL_CURL_ALLOWED_EXTENSIONS=".tif",
    GDAL_INGESTED_BYTES_AT_OPEN="32768",
    GDAL_HTTP_MERGE_CONSECUTIVE_RANGES="YES",
    GDAL_HTTP_MULTIPLEX="YES",
    VSI_CACHE="TRUE",
)

from rasterio.crs import CRS
from rslearn.data_sources import DataSourceContext
from rslearn.data_sources.direct_materialize_data_source import DirectMaterializeDataSource
from rslearn.data_sources.stac import SourceItem, StacDataSource
from rslearn.dataset import Dataset, Window
from rslearn.dataset.manage import materialize_dataset_windows, prepare_dataset_windows
from rslearn.utils.geometry import Projection
from upath import UPath


class ArchiveSource(DirectMaterializeDataSource[SourceItem], StacDataSource):
    """rslearn's own STAC source without a provider's signatures."""

    def __init__(
        self,
        endpoint: str,
        collection_name: str,
        asset_bands: dict[str, list[str]],
        context: DataSourceContext = DataSourceContext(),  # noqa: ARG002, B008
    ) -> None:
        DirectMaterializeDataSource.__init__(self, asset_bands=asset_bands)
        StacDataSource.__init__(self, endpoint=endpoint, collection_name=collection_name)

    def get_asset_url(self, item: SourceItem, asset_key: str) -> str:
        return item.asset_urls[asset_key]


def main(about_path: str) -> None:
    """Prepare and materialize the windows that a file tells."""
    about = json.loads(Path(about_path).read_text())
    # They go to the standard output, one for each window and layer.
    logging.disable(logging.INFO)
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "config.json").write_text(json.dumps(config_of(about)))
        dataset = Dataset(UPath(folder))
        windows = [window_of(dataset, about, number) for number in range(len(about["corners"]))]
        print("ready", flush=True)
        sys.stdin.readline()
        prepare_dataset_windows(dataset, windows)
        materialize_dataset_windows(dataset, windows)
        print(sum(1 for _ in Path(folder).rglob("*.tif")), flush=True)


def config_of(about: dict[str, Any]) -> dict[str, Any]:
    """The configuration of the dataset: a layer per source, a mosaic per period."""
    query: dict[str, Any] = {"space_mode": "MOSAIC", "max_matches": about["periods"]}
    if about["periods"] > 1:
        query |= {
            "period_duration": f"{about['period_days']}d",
            "per_period_mosaic_reverse_time_order": False,
        }
    layers = {}
    for source in about["sources"]:
        bands = {"dtype": source["dtype"], "bands": source["assets"], "nodata_value": source["nodata"]}
        arguments = {
            "endpoint": about["url"],
            "collection_name": source["collection"],
            "asset_bands": {asset: [asset] for asset in source["assets"]},
        }
        layers[source["name"]] = {
            "type": "raster",
            "band_sets": [bands],
            "resampling_method": "bilinear",
            "data_source": {
                "class_path": f"{Path(__file__).stem}.ArchiveSource",
                "init_args": arguments,
                "query_config": query,
                "ingest": False,
            },
        }
    return {"layers": layers}


def window_of(dataset: Dataset, about: dict[str, Any], number: int) -> Window:
    """Create one window of the dataset."""
    pixel, size = about["pixel_size"], about["size"]
    left, top = about["corners"][number]
    column, row = round(left / pixel), round(-top / pixel)
    window = Window(
        storage=dataset.storage,
        group="windows",
        name=str(number),
        projection=Projection(CRS.from_epsg(about["epsg"]), pixel, -pixel),
        bounds=(column, row, column + size, row + size),
        time_range=(datetime.fromisoformat(about["start"]), datetime.fromisoformat(about["end"])),
        data_factory=dataset.window_data_storage_factory,
    )
    window.save()
    return window


if __name__ == "__main__":
    main(*sys.argv[1:])
