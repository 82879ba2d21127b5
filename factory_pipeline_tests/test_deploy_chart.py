"""The Helm chart in deploy/chart: rendered by Helm, checked by Kubernetes' schemas, Dagster and the factory.

Dagster's launcher starts a run by the `dagster.yaml` of the chart; a server answers it as Kubernetes does.
"""

import json
import logging
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from dagster._core.code_pointer import ModuleCodePointer
from dagster._core.launcher import LaunchRunContext
from dagster._core.origin import DEFAULT_DAGSTER_ENTRY_POINT, JobPythonOrigin, RepositoryPythonOrigin
from dagster._core.storage.dagster_run import DagsterRunStatus
from dagster._core.test_utils import create_run_for_test
from dagster_aws.s3.compute_log_manager import S3ComputeLogManager
from starlette.testclient import TestClient

from factory_pipeline.datasets.versions.read_calls import TOKEN
from factory_pipeline.runs.history import instance_in
from factory_pipeline.runs.instance import DEFINITIONS, origin_of
from factory_pipeline.runs.shared_history import SharedHistory
from factory_pipeline.storage.layout import FactoryHome
from factory_pipeline.storage.object_store import SETTINGS
from factory_pipeline.version import __version__
from factory_pipeline.web.dagster_server import PAGES_PORT, Entrance
from factory_pipeline.web.server import access_of
from factory_pipeline.web.studio.app import studio_app
from factory_pipeline_tests.kubernetes_api import KubernetesApi, kubernetes_api
from factory_pipeline_tests.test_deploy import DEPLOY, assert_is_command, instance_ref
from factory_pipeline_tests.web.studio.visitor import studio_of_home

pytestmark = pytest.mark.integration
CHART = DEPLOY / "chart"
HAS_WHEEL = sys.platform == "linux" and platform.machine() == "x86_64"
HELM = shutil.which("helm", path=sysconfig.get_path("scripts")) or shutil.which("helm") or ""
if not HELM and not HAS_WHEEL:
    pytest.skip("helm is not installed, and has no wheel for this platform", allow_module_level=True)

OLDEST, NEWEST = "1.27", "1.37"
"""Versions of Kubernetes."""
VALUES: dict[str, dict[str, Any]] = {
    "defaults": {},
    "store": {
        "home": {"url": "s3://bucket/factory"},
        "logsBucket": "logs",
        "env": {"AWS_REGION": "eu-1", "N": 1},
    },
    "ingress": {
        "ingress": {
            "enabled": True,
            "className": "nginx",
            "host": "factory.example",
            "tlsSecret": "certificate",
            "annotations": {"nginx.ingress.kubernetes.io/proxy-body-size": "0"},
        },
        "networkPolicy": {"from": [{"namespaceSelector": {"matchLabels": {"name": "ingress"}}}]},
    },
    "existing claim": {
        "home": {"existingClaim": "datasets"},
        "existingSecret": "settings",
        "image": {"repository": "registry.example/factory", "tag": "1", "pullSecrets": [{"name": "pull"}]},
        "networkPolicy": {"enabled": False},
        "studio": {"publicOrigin": "https://studio.example", "resources": {"limits": None}},
    },
    "own claim": {"home": {"storageClassName": "nfs", "accessMode": "ReadWriteOnce", "size": "2Ti"}},
}
Objects = dict[tuple[str, str], dict[str, Any]]


@pytest.fixture(autouse=True)
def kept_log_level() -> Iterator[None]:
    """The client of Kubernetes sets the level of urllib3's logger, also where it is only imported."""
    logger = logging.getLogger("urllib3")
    level = logger.level
    yield
    logger.setLevel(level)


def helm(command: str, values: dict[str, Any], *options: str) -> "subprocess.CompletedProcess[str]":
    words = [HELM, *command.split(), str(CHART), "--namespace", "here", "--values", "-", *options]
    return subprocess.run(words, input=json.dumps(values), capture_output=True, text=True, check=False)


@cache
def render(name: str) -> Objects:
    """What the chart makes of a set of values, by kind and name; the release is `forest`."""
    made = helm("template forest", VALUES[name])
    assert made.returncode == 0, made.stderr
    objects = list(yaml.safe_load_all(made.stdout))
    return {(one["kind"], one["metadata"]["name"]): one for one in objects}


def studio_pod(objects: Objects) -> dict[str, Any]:
    return objects["Deployment", "forest"]["spec"]["template"]["spec"]


def dagster_yaml(objects: Objects) -> dict[str, Any]:
    return yaml.safe_load(objects["ConfigMap", "forest-dagster"]["data"]["dagster.yaml"])


# What Helm makes


@pytest.mark.parametrize("name", ["defaults", "store", "ingress"])
def test_helm_finds_no_fault(name: str) -> None:
    said = helm("lint --strict", VALUES[name])
    assert said.returncode == 0, said.stdout


@pytest.mark.parametrize("name", VALUES)
def test_kubernetes_takes_every_object(name: str) -> None:
    objects = render(name)
    kinds = {kind for kind, _ in objects}
    assert {"Deployment", "ConfigMap", "Service", "ServiceAccount", "Role", "RoleBinding", "Pod"} <= kinds
    assert ("Ingress" in kinds) == (name == "ingress")
    assert ("PersistentVolumeClaim" in kinds) == (name in ("defaults", "ingress", "own claim"))
    assert ("NetworkPolicy" in kinds) == (name != "existing claim")
    for one in objects.values():
        kubernetes_validate.validate(one, NEWEST, strict=True)
        assert one["metadata"]["labels"]["app.kubernetes.io/instance"] == "forest"


def test_the_oldest_kubernetes_that_the_chart_allows_takes_it_too() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    assert chart["kubeVersion"] == f">={OLDEST}.0-0"
    for one in render("ingress").values():
        kubernetes_validate.validate(one, OLDEST, strict=True)
    older = helm("template forest", {}, "--kube-version", "1.26.0")
    assert "incompatible with Kubernetes v1.26.0" in older.stderr


def test_a_field_that_kubernetes_does_not_know_is_noticed() -> None:
    service = render("defaults")["Service", "forest"]
    with pytest.raises(kubernetes_validate.ValidationError, match="seletor"):
        kubernetes_validate.validate({**service, "spec": {"seletor": {}}}, NEWEST, strict=True)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"home": {"url": "ftp://host/factory"}}, "home.url: Does not match pattern"),
        ({"home": {"size": "a lot"}}, "home.size: Does not match pattern"),
        ({"ingress": {"enabled": True}}, "ingress.host: String length must be greater"),
        ({"existingSecret": ""}, "existingSecret: Does not match pattern"),
        ({"env": {"FACTORY_TOKEN": "open sesame"}}, 'env: Property name of "FACTORY_TOKEN"'),
        ({"studio": {"publicOrigin": "factory.example"}}, "studio.publicOrigin: Does not match pattern"),
        ({"runs": {"max": 0}}, "runs.max: Must be greater than or equal to 1"),
        ({"studio": {"replicas": 2}}, "studio: Additional property replicas is not allowed"),
    ],
)
def test_values_that_the_chart_does_not_take_are_named(values: dict[str, Any], said: str) -> None:
    made = helm("template forest", values)
    assert made.returncode != 0
    assert said in made.stderr
    assert "open sesame" not in made.stderr


def test_the_chart_has_the_version_of_the_factory() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    assert chart["version"] == chart["appVersion"] == __version__
    [container] = studio_pod(render("defaults"))["containers"]
    assert container["image"] == f"factory-pipeline:{__version__}"
    docs = (DEPLOY.parent / "docs" / "scale.md").read_text(encoding="utf-8")
    assert set(re.findall(r"factory-pipeline:(\S+)", docs)) == {__version__}


# The studio


@pytest.mark.parametrize("name", VALUES)
def test_the_pods_run_commands_of_the_factory(name: str, tmp_path: Path) -> None:
    objects = render(name)
    for file, text in objects["ConfigMap", "forest-dagster"]["data"].items():
        (tmp_path / file).write_text(text)
    [studio] = studio_pod(objects)["containers"]
    [mounted] = [mount for mount in studio["volumeMounts"] if mount["name"] == "dagster"]
    assert_is_command([word.replace(mounted["mountPath"], str(tmp_path)) for word in studio["args"]])
    origins = [word for word in studio["args"] if word.startswith("--public-origin")]
    expected = {"ingress": "https://factory.example", "existing claim": "https://studio.example"}
    assert origins == [f"--public-origin={expected[name]}" for _ in range(name in expected)]
    [doctor] = objects["Pod", "forest-doctor"]["spec"]["containers"]
    assert_is_command(doctor["args"])
    assert objects["Pod", "forest-doctor"]["metadata"]["annotations"]["helm.sh/hook"] == "test"


def test_only_one_studio_runs_at_a_time() -> None:
    spec = render("defaults")["Deployment", "forest"]["spec"]
    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})


def test_a_change_of_settings_starts_the_studio_again() -> None:
    checksums = {
        json.dumps(render(name)["Deployment", "forest"]["spec"]["template"]["metadata"]["annotations"])
        for name in ("defaults", "store", "existing claim")
    }
    assert len(checksums) == 3


def test_the_probes_ask_for_what_both_servers_answer_without_the_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(TOKEN, "open sesame")
    monkeypatch.setenv(PAGES_PORT, "3001")
    home = FactoryHome(tmp_path / "home")
    [container] = studio_pod(render("defaults"))["containers"]
    assert "--host=0.0.0.0" in container["args"]
    access = access_of(home, "0.0.0.0")
    studio = studio_of_home(home)

    async def unreachable(*_: object) -> None:
        raise AssertionError("the web server is asked although the token was not given")

    apps = {3000: Entrance(unreachable, access), 3001: studio_app(studio, access)}
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert ports.keys() == {"studio", "dagster"}
    assert {ports[container[f"{kind}Probe"]["httpGet"]["port"]] for kind in ("startup", "liveness")} == {
        3000,
        3001,
    }

    def ask(port: int, path: str, headers: dict[str, str]) -> int:
        """As a kubelet does: it follows where it is led on the same host."""
        client = TestClient(apps[port], base_url=f"http://10.1.2.3:{port}", follow_redirects=False)
        answer = client.get(path, headers={"Accept": "*/*", **headers})
        if answer.is_redirect:
            led = answer.next_request.url
            assert (led.host, led.port) == ("10.1.2.3", 3001)
            return ask(led.port, led.path, headers)
        return answer.status_code

    for kind in ("startup", "readiness", "liveness"):
        probe = container[f"{kind}Probe"]["httpGet"]
        headers = {header["name"]: header["value"] for header in probe.get("httpHeaders", [])}
        assert ask(ports[probe["port"]], probe["path"], headers) == 200, kind
    assert ask(3000, "/", {}) == 401
    studio.registry.close()


def test_what_others_reach_is_the_studio_alone() -> None:
    objects = render("ingress")
    labels = objects["Deployment", "forest"]["spec"]["template"]["metadata"]["labels"]
    service = objects["Service", "forest"]["spec"]
    assert service["selector"].items() <= labels.items()
    assert objects["Deployment", "forest"]["spec"]["selector"]["matchLabels"].items() <= labels.items()
    [container] = studio_pod(objects)["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    # The web server leads browsers to the studio's port on the same host.
    assert {port["targetPort"]: port["port"] for port in service["ports"]} == ports
    [rule] = objects["Ingress", "forest"]["spec"]["rules"]
    [path] = rule["http"]["paths"]
    assert path["backend"] == {"service": {"name": "forest", "port": {"name": "studio"}}}
    policy = objects["NetworkPolicy", "forest"]["spec"]
    assert policy["podSelector"]["matchLabels"].items() <= labels.items()
    assert {port["port"] for rule in policy["ingress"] for port in rule["ports"]} == ports.keys()
    assert policy["ingress"][0]["from"] == VALUES["ingress"]["networkPolicy"]["from"]


# Settings


@pytest.mark.parametrize("name", VALUES)
def test_no_value_of_a_secret_is_in_the_chart_and_every_pod_has_the_secret(name: str) -> None:
    objects = render(name)
    assert not [kind for kind, _ in objects if kind == "Secret"]
    secret = VALUES[name].get("existingSecret", "factory")
    for pod in (studio_pod(objects), objects["Pod", "forest-doctor"]["spec"]):
        [container] = pod["containers"]
        assert container["envFrom"] == [
            {"configMapRef": {"name": "forest-env"}},
            {"secretRef": {"name": secret}},
        ]


def test_the_keys_of_the_secret_are_names_that_the_factory_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    text = (CHART / "values.yaml").read_text(encoding="utf-8")
    comment = text[: text.index("\nexistingSecret:")].rpartition("\n\n")[2]
    required = re.findall(r"^#   ([A-Z_]+)  ", comment, re.MULTILINE)
    others = set(re.findall(r"[A-Z]+(?:_[A-Z]+)+", comment)) - set(required)
    assert required == ["FACTORY_REGISTRY", TOKEN]
    assert {name.partition("_")[0] + "_" for name in others} == set(SETTINGS)
    monkeypatch.setenv("FACTORY_REGISTRY", "postgresql://host/factory")
    assert FactoryHome.at("s3://bucket/factory").registry_address == "postgresql://host/factory"
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    assert set(required) <= set(schema["properties"]["env"]["propertyNames"]["not"]["enum"])


@pytest.mark.parametrize("name", VALUES)
def test_home_and_scratch_are_where_volumes_are_mounted(name: str) -> None:
    objects = render(name)
    env = objects["ConfigMap", "forest-env"]["data"]
    url = VALUES[name].get("home", {}).get("url")
    assert env["FACTORY_HOME"] == url or not url
    kept = env["FACTORY_SCRATCH"] if url else env["FACTORY_HOME"]
    for pod in (studio_pod(objects), objects["Pod", "forest-doctor"]["spec"]):
        volumes = {volume["name"]: volume for volume in pod["volumes"]}
        mounts = {
            mount["mountPath"]: volumes[mount["name"]] for mount in pod["containers"][0]["volumeMounts"]
        }
        assert {kept, env["HOME"], "/tmp"} <= mounts.keys()
        claim = mounts[kept].get("persistentVolumeClaim", {}).get("claimName")
        assert claim == (None if url else "datasets" if name == "existing claim" else "forest-home")
        assert claim in (None, "datasets") or ("PersistentVolumeClaim", claim) in objects
    extra = VALUES[name].get("env", {})
    assert {key: env[key] for key in extra} == {key: str(value) for key, value in extra.items()}


def assert_restricted(pod: dict[str, Any]) -> None:
    """A pod is what Kubernetes' security standard `restricted` takes, and has no writable root."""
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in pod["containers"]:
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
    # What a Service of the release's name would add is taken for settings of the factory.
    assert pod["enableServiceLinks"] is False


@pytest.mark.parametrize("name", VALUES)
def test_pods_have_no_rights_that_they_do_not_need(name: str) -> None:
    objects = render(name)
    assert_restricted(studio_pod(objects))
    assert_restricted(objects["Pod", "forest-doctor"]["spec"])
    assert objects["Pod", "forest-doctor"]["spec"]["automountServiceAccountToken"] is False
    [user] = re.findall(r"^USER (\d+):\1$", (DEPLOY / "Containerfile").read_text(), re.MULTILINE)
    for key in ("runAsUser", "runAsGroup", "fsGroup"):
        assert studio_pod(objects)["securityContext"][key] == int(user)


# Runs


@pytest.mark.parametrize("name", VALUES)
def test_dagster_takes_the_settings(name: str, tmp_path: Path) -> None:
    settings = dagster_yaml(render(name))
    ref = instance_ref(settings, tmp_path)
    assert ref.storage_data.class_name == SharedHistory.__name__
    assert settings["run_retries"]["retry_on_asset_or_op_failure"] is False
    assert ref.custom_instance_class.__name__ == "FactoryInstance"
    assert isinstance(ref.compute_log_manager, S3ComputeLogManager) == ("logsBucket" in VALUES[name])
    runs = ref.settings["concurrency"]
    assert (runs["runs"]["max_concurrent_runs"], runs["pools"]["default_limit"]) == (16, 12)


@pytest.fixture
def api() -> Iterator[KubernetesApi]:
    with kubernetes_api() as served:
        yield served


@pytest.mark.parametrize("name", ["defaults", "store", "existing claim"])
def test_a_run_is_a_job_that_kubernetes_takes(name: str, api: KubernetesApi, tmp_path: Path) -> None:
    objects = render(name)
    settings = dagster_yaml(objects)
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump(api.kubeconfig()))
    settings["run_launcher"]["config"] |= {
        "load_incluster_config": False,
        "kubeconfig_file": str(tmp_path / "kubeconfig"),
    }
    # The run history of one machine: this is about the launcher.
    settings = {key: value for key, value in settings.items() if key not in ("storage", "compute_logs")}
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(settings))
    repository = RepositoryPythonOrigin(
        sys.executable,
        ModuleCodePointer(DEFINITIONS, "/home/factory"),
        None,
        DEFAULT_DAGSTER_ENTRY_POINT,
    )
    with instance_in(tmp_path) as instance:
        run = create_run_for_test(
            instance,
            "build_dataset",
            status=DagsterRunStatus.STARTED,
            job_code_origin=JobPythonOrigin("build_dataset", repository),
            remote_job_origin=origin_of("build_dataset"),
        )
        launcher = instance.run_launcher
        launcher.launch_run(LaunchRunContext(run, workspace=None))
        assert launcher.check_run_worker_health(run).status.value == "RUNNING"
        api.finished = True
        assert launcher.check_run_worker_health(run).status.value == "FAILED"
        assert "OOMKilled" in launcher.get_run_worker_debug_info(run)
        assert launcher.terminate(run.run_id)
        kept, api.jobs, api.finished = api.jobs, [], False
        assert "Could not find job" in launcher.get_run_worker_debug_info(run)

    [job] = kept
    kubernetes_validate.validate(job, NEWEST, strict=True)
    pod = job["spec"]["template"]["spec"]
    assert_restricted(pod)
    assert pod["automountServiceAccountToken"] is False
    assert job["spec"]["backoffLimit"] == 0
    [container] = pod["containers"]
    assert container["args"][:3] == ["dagster", "api", "execute_run"]
    # What the run is, it reads from the same places as the studio.
    [studio] = studio_pod(objects)["containers"]
    assert container["image"] == studio["image"]
    assert container["envFrom"] == studio["envFrom"]
    assert [mount for mount in studio["volumeMounts"] if mount["name"] != "dagster"] == container[
        "volumeMounts"
    ]
    assert [volume for volume in studio_pod(objects)["volumes"] if volume["name"] != "dagster"] == pod[
        "volumes"
    ]
    assert pod["securityContext"] == studio_pod(objects)["securityContext"]
    assert (pod.get("imagePullSecrets") or None) == studio_pod(objects).get("imagePullSecrets")
    # The account may do what was called, and nothing else.
    [subject] = objects["RoleBinding", "forest"]["subjects"]
    assert (
        subject["name"] == studio_pod(objects)["serviceAccountName"] == pod["serviceAccountName"] == "forest"
    )
    allowed = {
        (group, resource, verb)
        for rule in objects["Role", "forest"]["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    assert api.calls == allowed
    assert api.namespaces == {subject["namespace"]} == {"here"}
    if ("NetworkPolicy", "forest-runs") in objects:
        closed = objects["NetworkPolicy", "forest-runs"]["spec"]["podSelector"]["matchLabels"]
        assert closed.items() <= job["spec"]["template"]["metadata"]["labels"].items()
