"""Media types of the files that we write and serve."""

MEDIA_TYPES = {
    ".h5": "application/x-hdf5",
    ".html": "text/html",
    ".jp2": "image/jp2",
    ".jpeg": "image/jpeg",
    ".jpg": "image/jpeg",
    ".json": "application/json",
    ".parquet": "application/x-parquet",
    ".png": "image/png",
    ".tif": "image/tiff; application=geotiff",
    ".tiff": "image/tiff; application=geotiff",
    ".txt": "text/plain",
    ".yaml": "application/yaml",
}
"""By the ending of the file's name in small letters."""
UNKNOWN = "application/octet-stream"
