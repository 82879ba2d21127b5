"""`factory fuse`: a dataset file with its rasters stored in another way."""

from pathlib import Path

import click

from factory_pipeline.cli.json_output import echo_json, json_option
from factory_pipeline.cli.paths import FILE, PATH
from factory_pipeline.cli.terminal import echo
from factory_pipeline.plain_text import count_noun

COMPRESSIONS = ("none", "deflate", "zstd")


@click.command()
@click.argument("file", type=FILE)
@click.option("--output", type=PATH, required=True, metavar="FILE", help="Where the new file is written.")
@click.option(
    "--compression",
    type=click.Choice(COMPRESSIONS),
    default="none",
    show_default=True,
    help="Of its rasters. h5py reads none and deflate, and zstd with the package hdf5plugin.",
)
@json_option
def fuse(file: Path, output: Path, compression: str, as_json: bool) -> None:
    """Write a dataset file again, with its rasters stored in another way.

    A fused file is deflated: it is small, and decoding takes most of the time that reading takes. One without
    compression is about three times as large, and training reads it many times as fast. All values, names and
    attributes stay as they are.
    """
    from factory_pipeline.hdf5.codec import Compression
    from factory_pipeline.hdf5.recompress import recompress

    samples = recompress(file, output, Compression(compression))
    if as_json:
        echo_json({"file": output, "samples": samples, "compression": compression})
    else:
        echo(f"{output}: {count_noun(samples, 'sample')}, compression {compression}")


ALL: list[click.Command] = [fuse]
