"""Create New Tune: the training of a model on a dataset, with the configuration that it is started with."""

import shutil
import time
from collections.abc import Mapping
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from factory_pipeline.onboarding.products.terratorch import PRITHVI, RESNET, terratorch_text
from factory_pipeline.onboarding.products.terratorch_tuning import (
    HOW_TO_INSTALL,
    TERRATORCH,
    TuningChoices,
    apply_choices,
)
from factory_pipeline.sdk.graphql import DagsterServer, web_address
from factory_pipeline.web.studio.catalog import title_of, upload_address
from factory_pipeline.web.studio.context import Studio, go_to, read_form, render, studio_of
from factory_pipeline.web.studio.dataset_page import OF, living_upload
from factory_pipeline.web.studio.tasks import Task, tasks_of
from factory_pipeline.web.studio.training_metrics import read_metrics
from factory_pipeline.yaml_document import read_yaml

BACKBONES = (
    PRITHVI,
    "prithvi_eo_v2_300_tl",
    "prithvi_eo_v2_600",
    RESNET,
    "timm_resnet18",
    "timm_convnext_tiny",
)
"""Offered; any other that TerraTorch knows can be typed."""
LIMITS = {"max_epochs": (1, 100_000), "batch_size": (1, 4096), "learning_rate": (1e-9, 10.0)}


def show(request: Request) -> Response:
    """Show the form, filled in as the dataset's own configuration is."""
    own = _own_configuration(request)
    return _page(request, own, _choices_of(own))


async def start(request: Request) -> Response:
    """Show the configuration of the form, or start the training with it."""
    form = await read_form(request)
    return await run_in_threadpool(_start, request, {key: values[0].strip() for key, values in form.items()})


def _start(request: Request, form: Mapping[str, str]) -> Response:
    own = _own_configuration(request)
    shown = {key: form.get(key, "") for key in ("backbone", *LIMITS)}
    try:
        choices = _parse_choices(form)
    except ValueError as error:
        return _page(request, own, shown, str(error))
    wanted = _select_changed(own, choices)
    if form.get("action") == "download":
        name = "terratorch.yaml"
        text = terratorch_text(apply_choices(own, TuningChoices(**wanted)))
        return PlainTextResponse(text, headers={"Content-Disposition": f"attachment; filename={name}"})
    if form.get("action") != "start":
        return _page(request, own, shown)
    if shutil.which(TERRATORCH) is None:
        return _page(request, own, shown, HOW_TO_INSTALL)
    studio = studio_of(request)
    upload = living_upload(request, studio)

    began = time.time()

    def work(task: Task) -> str:
        task.metrics = lambda: read_metrics(studio.home.training(upload.key), began)
        train(studio, upload.key, wanted, task)
        return f"{upload_address(upload.key)}/finetune#metrics"

    task = tasks_of(request).start(f"Training on {title_of(upload.manifest, upload.name)}", work)
    return go_to(request, f"/tasks/{task.id}")


def train(studio: Studio, key: str, choices: Mapping[str, Any], task: Task) -> None:
    """Run the training: by Dagster's web server where there is one, else in this process.

    Args:
        studio: its home and where Dagster is.
        key: of the upload.
        choices: what differs from the dataset's own configuration.
        task: is told of the progress.

    Raises:
        FactoryError: it failed; the message is what the failed step said.
    """
    from factory_pipeline.runs.onboarding import FINETUNE_JOB, finetune, tuning_config  # imports Dagster

    task.progress("Training", 0.0)
    if studio.runs_url:
        server = DagsterServer(web_address(studio.runs_url))
        server.run(FINETUNE_JOB, tuning_config(choices), partition=key, on_message=task.say)
    else:
        finetune(studio.registry.upload(key), studio.home, choices)


def _own_configuration(request: Request) -> dict[str, Any]:
    studio = studio_of(request)
    path = studio.home.upload(living_upload(request, studio).key).finished.terratorch
    if not path.exists():
        raise HTTPException(404)
    config: dict[str, Any] = read_yaml(path, "The training configuration")
    return config


def _choices_of(config: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "backbone": config["model"]["init_args"]["model_args"]["backbone"],
        "max_epochs": config["trainer"]["max_epochs"],
        "batch_size": config["data"]["init_args"]["batch_size"],
        "learning_rate": config["optimizer"]["init_args"]["lr"],
    }


def _parse_choices(form: Mapping[str, str]) -> dict[str, Any]:
    """Return the choices of the form.

    Raises:
        ValueError: one is not allowed; the message says which and what is.
    """
    backbone = form.get("backbone", "")
    if not backbone.replace("_", "").replace("-", "").replace(".", "").isalnum():
        raise ValueError("Choose a backbone: letters, digits, hyphens, dots and underscores are allowed.")
    choices: dict[str, Any] = {"backbone": backbone}
    for key, (low, high) in LIMITS.items():
        kind = float if key == "learning_rate" else int
        try:
            value = kind(form.get(key, ""))
        except ValueError:
            value = low - 1
        if not low <= value <= high:
            raise ValueError(f"The {key.replace('_', ' ')} must be a number from {low:g} to {high:g}.")
        choices[key] = value
    return choices


def _select_changed(own: Mapping[str, Any], choices: Mapping[str, Any]) -> dict[str, Any]:
    """Return the choices that differ from the dataset's own configuration."""
    kept = _choices_of(own)
    return {key: value for key, value in choices.items() if value != kept[key]}


def _page(request: Request, own: Mapping[str, Any], shown: Mapping[str, Any], error: str = "") -> Response:
    studio = studio_of(request)
    upload = living_upload(request, studio)
    try:
        wanted = _select_changed(own, _parse_choices({key: str(value) for key, value in shown.items()}))
        text = terratorch_text(apply_choices(own, TuningChoices(**wanted)))
    except ValueError:
        text = ""
    return render(
        request,
        "finetune.html",
        422 if error else 200,
        title=title_of(upload.manifest, upload.name),
        address=upload_address(upload.key),
        key=upload.key,
        task=own["model"]["class_path"].rpartition(".")[2],
        shown=shown,
        backbones=BACKBONES,
        text=text,
        error=error,
        is_installed=shutil.which(TERRATORCH) is not None,
        how_to_install=HOW_TO_INSTALL,
        metrics=read_metrics(studio.home.training(upload.key)),
    )


ROUTES = [
    Route(f"{OF}/finetune", show),
    Route(f"{OF}/finetune", start, methods=["POST"]),
]
