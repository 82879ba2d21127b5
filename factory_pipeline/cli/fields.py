"""`factory generate-fields` and `factory concat-fields`: fields of image pairs, by an aligner."""

from pathlib import Path

import click

from factory_pipeline.cli.json_output import echo_json, json_option
from factory_pipeline.cli.paths import FILE, FOLDER, PATH
from factory_pipeline.cli.script_options import either_spelling
from factory_pipeline.cli.terminal import echo
from factory_pipeline.plain_text import count_noun

MIP = click.IntRange(0, 30)


@click.command("generate-fields")
@either_spelling(
    "pyramid_path",
    required=True,
    metavar="ALIGNER",
    help="A pyramid folder of metroem, a TorchScript (.pt) or exported (.pt2) file of PyTorch, a function as"
    " package.module:function, or reference.",
)
@either_spelling("image_path", type=FILE, required=True, metavar="FILE", help="Image pairs, at src_mip.")
@either_spelling(
    "prev_field_path",
    type=FILE,
    metavar="FILE",
    help="Fields of these pairs to begin with, in pixels of src_mip.  [default: none]",
)
@either_spelling("temp_dir", type=PATH, required=True, metavar="DIR", help="Where the shards are written.")
@click.option("--stage", type=click.IntRange(min=0), default=0, show_default=True, help="Of a pyramid.")
@either_spelling(
    "checkpoint_name", default="checkpoint", show_default=True, metavar="NAME", help="Weights of a pyramid."
)
@either_spelling("src_mip", type=MIP, required=True, help="Of the images.")
@either_spelling("dst_mip", type=MIP, required=True, help="Of the fields, at most src_mip.")
@either_spelling("x_size", type=click.IntRange(min=1), help="Pixels of a field.  [default: of the images]")
@either_spelling("y_size", type=click.IntRange(min=1), help="Pixels of a field.  [default: of the images]")
@click.option(
    "--gpu",
    metavar="0,1,...",
    help="A process for each of these GPUs.  [default: all for PyTorch; without GPUs, a process per core]",
)
@json_option
def generate_fields(
    pyramid_path: str,
    image_path: Path,
    prev_field_path: Path | None,
    temp_dir: Path,
    stage: int,
    checkpoint_name: str,
    src_mip: int,
    dst_mip: int,
    x_size: int | None,
    y_size: int | None,
    gpu: str | None,
    as_json: bool,
) -> None:
    """Run an aligner over all pairs of a file, and write their fields as shards, START_STOP.h5.

    A field moves the source to its target: channel 0 along the last axis of the images (y of the volume),
    channel 1 along the first (x), in pixels of dst_mip. Can be interrupted: the same command continues.
    """
    from factory_pipeline.sdk.progress_bar import ProgressLine
    from factory_pipeline.volumes.aligners.choose import choose_aligner
    from factory_pipeline.volumes.fields import generate
    from factory_pipeline.volumes.fields.task import plan_fields

    gpus = None if gpu is None else [part.strip() for part in gpu.split(",")]
    if gpus is not None and not all(part.isdigit() for part in gpus):
        raise click.BadParameter(f"{gpu!r} is not a list of numbers such as 0,1.", param_hint="--gpu")
    aligner = choose_aligner(pyramid_path, stage, checkpoint_name, src_mip)
    task = plan_fields(image_path, prev_field_path, aligner, src_mip, dst_mip, (x_size, y_size))
    with ProgressLine() as line:
        shards = generate.generate_fields(
            task,
            temp_dir,
            gpus,
            lambda done, pairs: line.show("Fields", done / pairs, f"{done:,} of {count_noun(pairs, 'pair')}"),
        )
    if as_json:
        echo_json({"pairs": task.pairs, "shape": task.shape, "work": task.digest, "shards": shards})
        return
    echo(
        f"{count_noun(task.pairs, 'field')} of MIP {dst_mip} in {count_noun(len(shards), 'shard')} in"
        f" {temp_dir}"
    )
    echo(f"Join them: factory concat-fields --temp_dir {temp_dir} --dst_path FILE")


@click.command("concat-fields")
@either_spelling("temp_dir", type=FOLDER, required=True, metavar="DIR", help="Where the shards are.")
@either_spelling("dst_path", type=PATH, required=True, metavar="FILE", help="The joined file.")
@json_option
def concat_fields(temp_dir: Path, dst_path: Path, as_json: bool) -> None:
    """Join shards of generate-fields in the order of their pairs; gaps and overlaps are errors."""
    from factory_pipeline.volumes.fields.join import join_shards

    fields = join_shards(temp_dir, dst_path)
    if as_json:
        echo_json({"pairs": fields, "file": dst_path})
    else:
        echo(f"{count_noun(fields, 'field')} in {dst_path}")


ALL = [generate_fields, concat_fields]
