"""The files of a set of image pairs."""

from pathlib import Path

from factory_pipeline.storage.pair_set_files import PairSetFiles


def test_all_files_are_in_the_folder_of_the_set_and_differ():
    files = PairSetFiles(Path("home/pairs/key"))
    paths = [files.spec, files.batches, files.dataset, files.shards, files.shard_keys]
    assert {path.parent for path in paths} == {files.root}
    assert len(set(paths)) == len(paths)
