"""Paths of a build's files."""

from pathlib import Path

from factory_pipeline.storage.build_files import BuildFiles


def test_the_files_of_batches_and_splits_differ():
    files = BuildFiles(Path("out"))
    of_batch = [files.batch, files.batch_rejects, files.dissolved, files.progress]
    paths = [path(key) for path in of_batch for key in ("train-1", "train-2")]
    paths += [files.fused("train"), files.fused("test"), files.combined_csv("train"), files.batch_plan]
    assert len(set(paths)) == len(paths)
    assert all(files.root in path.parents for path in paths)


def test_results_are_in_the_folder_and_stages_below():
    files = BuildFiles(Path("out"))
    assert files.fused("train") == Path("out/train_dataset.h5")
    assert files.stages in files.batch_plan.parents
