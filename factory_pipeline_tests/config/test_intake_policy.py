"""The policy of an installation."""

from pathlib import Path

import pytest

from factory_pipeline.config.intake_policy import IntakePolicy
from factory_pipeline.errors import RecipeError
from factory_pipeline.storage.layout import FactoryHome


@pytest.fixture
def home(tmp_path: Path) -> FactoryHome:
    """A home without a policy."""
    (tmp_path / "home").mkdir()
    return FactoryHome(tmp_path / "home")


def test_the_inboxes_may_always_be_read(home: FactoryHome):
    home.intake_file.write_text("inbox: [more, s3://bucket/in/]\nfolders: [/data]\n")
    policy = IntakePolicy.of_home(home)
    assert policy.inboxes(home) == (str(home.upload_inbox), str(home.root / "more"), "s3://bucket/in")
    own = {home.upload_inbox, home.root / "more", home.studio.drafts}
    assert set(policy.folders) == {Path("/data"), *own}


def test_a_user_may_read_every_folder(home: FactoryHome):
    assert Path("/") in IntakePolicy.of_home(home, all_folders=True).folders
    assert Path("/") not in IntakePolicy.of_home(home).folders


@pytest.mark.parametrize("text", ["concurrency: 0", "unknown: 1", "a: [", "max_ratio: 1"])
def test_a_policy_that_is_not_valid_is_named(text: str, home: FactoryHome):
    home.intake_file.write_text(text)
    with pytest.raises(RecipeError, match="intake policy"):
        IntakePolicy.of_home(home)
