"""The table of the stages: their order, their outputs, and the progress that is read off them."""

from itertools import pairwise
from pathlib import Path

import pytest

from factory_pipeline.onboarding.stages import STAGES, onboarding_progress, stage_before, stage_named
from factory_pipeline.storage.layout import FactoryHome


def test_progress_is_the_first_output_that_does_not_exist(tmp_path: Path) -> None:
    files = FactoryHome(tmp_path).upload("rivers@1")
    shown = [onboarding_progress(files)]
    outputs = [
        files.archive_facts,
        files.prescan,
        files.contents,
        files.index,
        files.split,
        files.dataset.training_params,
        files.dataset.page,
    ]
    for output in outputs:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.touch()
        shown.append(onboarding_progress(files))
    assert shown == [
        ("Looking at the archive", 0.0),
        ("Reading the headers", 1 / 7),
        ("Unpacking and checking every pixel", 2 / 7),
        ("Arranging images and labels", 3 / 7),
        ("Splitting", 4 / 7),
        ("Computing training parameters", 5 / 7),
        ("Writing the page", 6 / 7),
        ("Finishing", 1.0),
    ]


def test_progress_of_a_finished_dataset_is_complete(tmp_path: Path) -> None:
    files = FactoryHome(tmp_path).upload("rivers@1")
    for output in (files.archive_facts, files.prescan, files.contents, files.index, files.split):
        output.parent.mkdir(parents=True, exist_ok=True)
        output.touch()
    files.finished.root.mkdir(parents=True)
    files.finished.training_params.touch()
    files.finished.page.touch()
    assert onboarding_progress(files) == ("Finishing", 1.0)


def test_each_stage_follows_the_one_before_it() -> None:
    names = [stage.name for stage in STAGES]
    assert len(set(names)) == len(names)
    assert stage_before(names[0]) is None
    for previous, name in pairwise(names):
        before = stage_before(name)
        assert before is not None
        assert before.name == previous


def test_an_unknown_stage_is_named_with_those_that_exist() -> None:
    with pytest.raises(KeyError, match=r"'training'.*uploaded_archive.*onboarded_dataset"):
        stage_named("training")
