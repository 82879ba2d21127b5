"""Commands of image pairs: `create-spec`, `make-dataset`, `download-image`."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from factory_pipeline.cli.paths import FILE, PATH
from factory_pipeline.cli.script_options import NumberListCommand, either_spelling
from factory_pipeline.cli.terminal import echo, echo_block
from factory_pipeline.errors import SpecError
from factory_pipeline.plain_text import count_noun

if TYPE_CHECKING:
    from factory_pipeline.volumes.create_spec import PairForm
    from factory_pipeline.volumes.spec import PairSpec
    from factory_pipeline.volumes.warp import Resampling

NEW_FOLDER = click.Path(file_okay=False, path_type=Path)


def _require_local(_context: click.Context, _option: click.Parameter, folder: Path) -> Path:
    if re.match(r"[\w+.-]+:/", str(folder)):
        raise click.BadParameter(f"{folder} is an address; files are written to a folder of this machine.")
    return folder


parallel_option = click.option(
    "--parallel",
    type=click.IntRange(1, 256),
    default=4,
    show_default=True,
    metavar="N",
    help="Sections that are read at a time.",
)
fill_missing_option = either_spelling(
    "fill_missing",
    is_flag=True,
    help="Read what is outside a volume, and chunks that do not exist, as zeros.",
)
cache_option = either_spelling(
    "cache_mb",
    type=click.IntRange(min=1),
    default=512,
    show_default=True,
    metavar="MB",
    help="Memory for chunks that are read.",
)


@click.command("create-spec", cls=NumberListCommand)
@either_spelling("src_spec_path", type=FILE, metavar="SPEC", help="The spec that pairs are added to.")
@either_spelling("dst_spec_path", type=PATH, metavar="SPEC", help="The new spec.")
@either_spelling(
    "points_path",
    type=FILE,
    metavar="FILE",
    help="Starts of boxes of src: a CSV of annotations or of x0, y0, z0, or the JSON state of a viewer.",
)
@click.option(
    "--offsets",
    type=int,
    multiple=True,
    metavar="N ...",
    help="Sections from src to tgt, such as --offsets -1 -2 -3.",
)
@either_spelling("permute_pairs", is_flag=True, help="Also add each pair with src and tgt exchanged.")
@either_spelling(
    "pair_form",
    type=click.Choice(["object", "list"]),
    default="object",
    show_default=True,
    help='Write {"src": .., "tgt": ..} or [src, tgt].',
)
@either_spelling(
    "points_resolution",
    type=click.FloatRange(min=0, min_open=True),
    nargs=3,
    metavar="X Y Z",
    help="Nanometres per voxel of the viewer, where its voxels are not MIP 0 of the images.",
)
@either_spelling(
    "neuroglancer_state",
    type=PATH,
    metavar="FILE",
    help="Also write the state of a viewer that shows the boxes over the images.",
)
@click.option("--check", "checked", type=FILE, metavar="SPEC", help="Only name what is wrong with a spec.")
@click.pass_context
def create_spec(
    context: click.Context,
    src_spec_path: Path | None,
    dst_spec_path: Path | None,
    points_path: Path | None,
    offsets: tuple[int, ...],
    permute_pairs: bool,
    pair_form: "PairForm",
    points_resolution: tuple[float, float, float] | None,
    neuroglancer_state: Path | None,
    checked: Path | None,
) -> None:
    """Make the spec of a set of image pairs from points.

    Per point, then per offset, the pair (z, z + offset) is added. x and y are rounded down to 2**max_mip.
    With --src_spec_path and --neuroglancer_state alone, the boxes of a spec are shown.
    """
    from factory_pipeline.volumes.spec import load_json, load_spec

    if checked is not None:
        context.exit(0 if _check_spec(checked) else 1)
    if src_spec_path is None:
        raise click.UsageError("Name the spec that pairs are added to by --src_spec_path.")
    if dst_spec_path is None and points_path is None and neuroglancer_state is not None:
        _write_state(load_spec(src_spec_path), neuroglancer_state)
        return
    if dst_spec_path is None or points_path is None or not offsets:
        raise click.UsageError("Pairs take --dst_spec_path, --points_path and --offsets.")
    template = load_json(src_spec_path)
    created = _add_pairs(template, points_path, offsets, permute_pairs, pair_form, points_resolution)
    _write_new(dst_spec_path, created)
    spec = load_spec(dst_spec_path)
    _tell_unknown_keys(spec)
    echo(f"{count_noun(len(spec.pairs), 'pair')}: {dst_spec_path}")
    if neuroglancer_state is not None:
        _write_state(spec, neuroglancer_state)


def _check_spec(path: Path) -> bool:
    from factory_pipeline.volumes.spec import find_faults, load_json, parse_spec

    document = load_json(path)
    faults = find_faults(document)
    if faults:
        echo(*(f"{path}: {fault}" for fault in faults), err=True)
        return False
    spec = parse_spec(document)
    _tell_unknown_keys(spec)
    echo(f"{path} is valid: {count_noun(len(spec.pairs), 'pair')}.")
    return True


def _add_pairs(
    template: Mapping[str, Any],
    points_path: Path,
    offsets: tuple[int, ...],
    permute_pairs: bool,
    pair_form: "PairForm",
    points_resolution: tuple[float, float, float] | None,
) -> dict[str, Any]:
    from factory_pipeline.volumes.create_spec import create_spec
    from factory_pipeline.volumes.points import read_points
    from factory_pipeline.volumes.spec import parse_spec

    found = read_points(points_path)
    for kind, count in found.others.items():
        echo(f"Left out, as they are not points: {count} of the type {kind}", err=True)
    points = list(found.points)
    if points_resolution is not None:
        mip0 = _mip0(parse_spec(template, "The source spec"))
        x, y, z = (given / own for given, own in zip(points_resolution, mip0, strict=True))
        points = [point.scaled((x, y, z)) for point in points]
    return create_spec(template, points, offsets, permute_pairs=permute_pairs, pair_form=pair_form)


def _mip0(spec: "PairSpec") -> tuple[float, float, float]:
    from factory_pipeline.volumes.sources import mip0_resolution
    from factory_pipeline.volumes.volume import VolumeReader

    return mip0_resolution(spec.image.path, VolumeReader())


def _write_state(spec: "PairSpec", path: Path) -> None:
    from factory_pipeline.volumes.viewer_state import viewer_state

    _write_new(path, viewer_state(spec, _mip0(spec)))
    echo(f"State of a viewer: {path}")


def _write_new(path: Path, document: Mapping[str, Any]) -> None:
    """Write JSON; a file with other content is never overwritten."""
    from factory_pipeline.storage.atomic import write_text

    text = json.dumps(document, indent=4) + "\n"
    if path.exists() and path.read_bytes() != text.encode():
        raise SpecError(f"{path} exists with other content; move it, or write to another path.")
    write_text(path, text)


def _tell_unknown_keys(spec: "PairSpec") -> None:
    from factory_pipeline.volumes.spec import unknown_keys

    unknown = unknown_keys(spec)
    if unknown:
        echo(f"Keys that are kept and mean nothing here: {', '.join(unknown)}", err=True)


@click.command("make-dataset", cls=NumberListCommand)
@either_spelling("spec_path", type=FILE, required=True, metavar="SPEC", help="What is cut.")
@either_spelling(
    "dst_path",
    type=NEW_FOLDER,
    callback=_require_local,
    required=True,
    metavar="DIR",
    help="Where files are written.",
)
@parallel_option
@click.option("--unnormalize", is_flag=True, help="Keep the values of the volume.")
@fill_missing_option
@click.option(
    "--resampling",
    type=click.Choice(["bilinear", "area"]),
    default="bilinear",
    show_default=True,
    help="From the volumes' mips to that of the pairs; area averages where images shrink.",
)
@cache_option
def make_dataset(
    spec_path: Path,
    dst_path: Path,
    parallel: int,
    unnormalize: bool,
    fill_missing: bool,
    resampling: "Resampling",
    cache_mb: int,
) -> None:
    """Cut the image pairs and fields of a spec out of its volumes.

    Writes a file of images, (pairs, src and tgt, x, y), one of fields, a table of pairs and the spec. Channel
    0 of a field moves along the last axis, which is y of the volume, channel 1 along x. Can be interrupted:
    the same command goes on where it stopped.
    """
    from factory_pipeline.volumes.pair_dataset import PairSettings, make_dataset
    from factory_pipeline.volumes.spec import load_json, load_spec

    _tell_unknown_keys(load_spec(spec_path))
    settings = PairSettings(
        normalise=not unnormalize,
        resampling=resampling,
        fill_missing=fill_missing,
        parallel=parallel,
        cache_bytes=cache_mb << 20,
    )
    with _progress("sections") as show:
        made = make_dataset(load_json(spec_path), dst_path, settings, show)
    echo_block(made)


@click.command("download-image", cls=NumberListCommand)
@click.option("--mips", type=click.IntRange(0, 30), multiple=True, required=True, metavar="N ...")
@either_spelling(
    "patch_sizes",
    type=click.IntRange(min=1),
    multiple=True,
    required=True,
    metavar="N ...",
    help="Pixels of a side, for each of --mips.",
)
@either_spelling("x_offset", type=int, default=0, show_default=True, help="Start of the box, MIP 0 pixels.")
@either_spelling("y_offset", type=int, default=0, show_default=True, help="Start of the box, MIP 0 pixels.")
@either_spelling("z_start", type=int, required=True, help="Section of the first src; its tgt is before it.")
@either_spelling("z_end", type=int, required=True, help="Section behind the last src.")
@either_spelling("cv_path", required=True, metavar="URL|PATH", help="Volume of images.")
@either_spelling("cv_path_defects", metavar="URL|PATH", help="Volume of a mask, where images become 0.")
@either_spelling(
    "mask_val", type=float, default=1, show_default=True, help="Least value of the mask that removes."
)
@either_spelling(
    "dst_folder",
    type=NEW_FOLDER,
    callback=_require_local,
    required=True,
    metavar="DIR",
    help="Where files are written.",
)
@click.option("--suffix", metavar="TEXT", help="Appended to the names of the files.")
@parallel_option
@fill_missing_option
@cache_option
def download_image(
    mips: tuple[int, ...],
    patch_sizes: tuple[int, ...],
    x_offset: int,
    y_offset: int,
    z_start: int,
    z_end: int,
    cv_path: str,
    cv_path_defects: str | None,
    mask_val: float,
    dst_folder: Path,
    suffix: str | None,
    parallel: int,
    fill_missing: bool,
    cache_mb: int,
) -> None:
    """Download the pairs of sections (z, z - 1) of a box, a file per mip, without a spec.

    Values are those of the volume. Can be interrupted: the same command goes on where it stopped.
    """
    from factory_pipeline.volumes.stretch import Stretch, download_image

    if len(mips) != len(patch_sizes):
        raise click.UsageError(f"There are {len(mips)} --mips and {len(patch_sizes)} --patch_sizes.")
    cv_path, cv_path_defects = _address(cv_path), cv_path_defects and _address(cv_path_defects)
    stretch = Stretch(cv_path, x_offset, y_offset, z_start, z_end, cv_path_defects, mask_val, suffix)
    for mip, size in zip(mips, patch_sizes, strict=True):
        with _progress(f"sections of MIP {mip}") as show:
            path = download_image(
                stretch,
                mip,
                size,
                dst_folder,
                fill_missing=fill_missing,
                parallel=parallel,
                cache_bytes=cache_mb << 20,
                on_progress=show,
            )
        echo(f"{count_noun(z_end - z_start, 'pair')}: {path}")


def _address(volume: str) -> str:
    """Return an absolute path for a relative one; addresses stay."""
    return volume if "://" in volume else str(Path(volume).absolute())


@contextmanager
def _progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """Show a line of progress while the block runs."""
    from factory_pipeline.sdk.progress_bar import ProgressLine

    with ProgressLine() as line:
        yield lambda done, total: line.show(what, done / total, f"{done} of {total}")


ALL = [create_spec, make_dataset, download_image]
