"""The files in deploy/: Dagster takes its settings, and names in them are of things that exist."""

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from click import Context, Group
from dagster._config import process_config
from dagster._core.instance.ref import InstanceRef
from dagster_aws.s3.compute_log_manager import S3ComputeLogManager
from dagster_celery.launcher import CeleryRunLauncher
from dagster_postgres import DagsterPostgresStorage
from jsonschema import Draft202012Validator

from factory_pipeline.cli.main import cli
from factory_pipeline_tests.test_packaging import PROJECT, ROOT

pytestmark = pytest.mark.integration
DEPLOY = ROOT / "deploy"
VARIABLES = {
    "DAGSTER_POSTGRES": "postgresql+psycopg2://factory@127.0.0.1/factory",
    "FACTORY_BROKER": "redis://127.0.0.1:6379/0",
    "FACTORY_LOGS_BUCKET": "logs",
}


def load(name: str) -> dict[str, Any]:
    return yaml.safe_load((DEPLOY / name).read_text(encoding="utf-8"))


def instance_ref(settings: dict[str, Any], folder: Path) -> InstanceRef:
    """The instance of a `dagster.yaml`, as Dagster reads and checks it."""
    (folder / "dagster.yaml").write_text(yaml.safe_dump(settings))
    return InstanceRef.from_dir(str(folder))


def env_sources(value: object) -> Iterator[str]:
    """The variables that settings read: `{env: NAME}`."""
    if isinstance(value, dict):
        if set(value) == {"env"}:
            yield value["env"]
        for inner in value.values():
            yield from env_sources(inner)


@pytest.fixture(autouse=True)
def variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**VARIABLES, "AWS_DEFAULT_REGION": "us-east-1"}.items():
        monkeypatch.setenv(name, value)


def test_dagster_takes_the_settings_and_makes_its_parts_of_them(tmp_path: Path) -> None:
    settings = load("dagster-celery.yaml")
    assert set(env_sources(settings)) <= set(VARIABLES)
    ref = instance_ref(settings, tmp_path)
    assert type(ref.run_launcher) is CeleryRunLauncher
    assert isinstance(ref.compute_log_manager, S3ComputeLogManager)
    storage = ref.storage_data
    assert storage.class_name == DagsterPostgresStorage.__name__
    checked = process_config(DagsterPostgresStorage.config_type(), yaml.safe_load(storage.config_yaml))
    assert checked.success, checked.errors
    assert settings["run_retries"] == {
        "enabled": True,
        "max_retries": 3,
        # A step that failed has been tried again already; a worker that died has not.
        "retry_on_asset_or_op_failure": False,
    }


def test_a_setting_that_dagster_does_not_know_is_noticed(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="max_attempts"):
        instance_ref({**load("dagster-celery.yaml"), "run_retries": {"max_attempts": 3}}, tmp_path).settings  # noqa: B018


def test_a_celery_worker_takes_a_run_when_it_can_start_it(tmp_path: Path) -> None:
    launcher = instance_ref(load("dagster-celery.yaml"), tmp_path).run_launcher
    assert isinstance(launcher, CeleryRunLauncher)
    assert launcher.celery.conf.worker_disable_prefetch
    assert launcher.celery.conf.broker_url == launcher.celery.conf.result_backend
    assert launcher.celery.conf.broker_url == VARIABLES["FACTORY_BROKER"]


# Compose


@pytest.fixture(scope="module")
def of_compose() -> Draft202012Validator:
    """The schema of compose files, of github.com/compose-spec/compose-spec (Apache 2.0)."""
    schema = Path(__file__).parent / "schemas" / "compose-spec.json"
    return Draft202012Validator(json.loads(schema.read_text(encoding="utf-8")))


def test_the_compose_file_is_what_the_specification_of_compose_takes(
    of_compose: Draft202012Validator,
) -> None:
    compose = load("compose.yaml")
    assert [error.message for error in of_compose.iter_errors(compose)] == []
    for service, key, value in (("worker", "restarts", "always"), ("studio", "ports", "127.0.0.1:3000:3000")):
        wrong = load("compose.yaml")
        wrong["services"][service][key] = value
        assert not of_compose.is_valid(wrong), key


def test_every_service_of_the_compose_file_has_what_it_needs() -> None:
    text = (DEPLOY / "compose.yaml").read_text(encoding="utf-8")
    compose = yaml.safe_load(text)
    services, volumes = compose["services"], set(compose["volumes"])
    assert {"studio", "worker", "postgres", "redis", "store"} <= set(services)
    assert services["worker"]["deploy"]["replicas"] == 2
    asked = set(re.findall(r"\$\{(\w+):\?", text))
    assert set(re.findall(r"(?<!\$)\$\{(\w+)", text)) == asked, "each is said to be missing where it is"
    for name, service in services.items():
        assert set(service.get("depends_on", {})) <= set(services), name
        for dependency, condition in service.get("depends_on", {}).items():
            if condition["condition"] == "service_healthy":
                assert "healthcheck" in services[dependency], dependency
        for volume in service.get("volumes", []):
            source = volume.partition(":")[0]
            assert (DEPLOY / source).is_file() if source.startswith(".") else source in volumes, volume
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:"), "others come by the reverse proxy, which has a login"
        image = service["image"]
        assert image == "factory-pipeline" or re.fullmatch(r"[\w/]+:(?!latest)[\w.-]*\d[\w.-]*", image)
    assert (DEPLOY / services["studio"]["build"]["context"]).resolve() == ROOT
    assert (ROOT / services["studio"]["build"]["dockerfile"]).is_file()
    for name in ("studio", "worker"):
        read = set(env_sources(load("dagster-celery.yaml")))
        assert read | {"FACTORY_HOME", "FACTORY_REGISTRY"} <= set(services[name]["environment"])
        assert_is_command(services[name]["command"])
    assert load("dagster-celery.yaml")["concurrency"]["runs"]["max_concurrent_runs"] >= 2 * 2


def assert_is_command(words: list[str]) -> None:
    """Have the command line parse the options of a command, without running it."""
    program, name, *options = words
    assert program == "factory"
    group: Group = cli
    command = group.commands[name]
    command.make_context(name, list(options), parent=Context(group))


# The image


def test_the_image_is_of_the_lock_and_runs_as_nobody_in_particular() -> None:
    text = (DEPLOY / "Containerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line.split(maxsplit=1) for line in text.splitlines() if line and not line.startswith("#")]
    users = [rest for word, rest in lines if word == "USER"]
    assert users == ["1000:1000"]
    assert lines.index(["USER", users[0]]) > max(n for n, (word, _) in enumerate(lines) if word == "FROM")
    for word, rest in lines:
        if word == "FROM":
            assert re.match(r"python:3\.1[1-3]-slim-\w+", rest)
        if word == "COPY" and not rest.startswith("--from"):
            assert all((ROOT / path).exists() for path in rest.split()[:-1]), rest
    extras = re.findall(r"--extra (\w+)", text)
    assert extras == ["all", "cluster"]
    assert set(extras) <= set(PROJECT["optional-dependencies"])
    # Only the lock's packages are installed: each `pip install` checks hashes, or installs our own wheel.
    for command in re.findall(r"pip install ([^&\n]*)", text):
        words = shlex.split(command)
        assert "--require-hashes" in words or words[-2:] == ["--no-deps", "dist/*.whl"], command
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    for name in re.findall(r"/\^([\w-]+)==/", text):
        assert re.search(rf"^{name}==", lock, re.MULTILINE), name
