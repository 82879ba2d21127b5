"""A stage of an onboarding as an asset: its place in the graph, its status in the registry, its checks."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from typing import Any

import dagster as dg

from factory_pipeline.datalake.registry.records import UploadStatus
from factory_pipeline.errors import FORBIDDEN, FactoryError, OnboardingError, describe_os_error
from factory_pipeline.onboarding.checks.check import Check, require
from factory_pipeline.onboarding.onboarding import Onboarding
from factory_pipeline.onboarding.stages import Stage, stage_before, stage_named
from factory_pipeline.orchestration.builds.footprints import OWNERS
from factory_pipeline.orchestration.onboarding.upload_lock import upload_lock
from factory_pipeline.orchestration.partitions import datasets
from factory_pipeline.orchestration.resources import FactoryResource
from factory_pipeline.orchestration.run_lock import hold_run_lock
from factory_pipeline.storage.atomic import disk_is_full

MOST_TRIES = 3
SECONDS_BETWEEN_TRIES = 5
TRANSIENT_CODES = ("URL_UNREACHABLE",)
"""The host is away or busy: the same stage may succeed a moment later."""


GROUP = "onboarding"
INBOX = "upload_inbox"
"""The asset that the first stage depends on."""


def stage_asset(**options: Any) -> Callable[[Callable[..., Any]], dg.AssetsDefinition]:
    """Make a function with the name of a stage the asset of that stage; it depends on the stage before.

    Args:
        **options: of `dagster.asset`, such as `kinds` and `check_specs`.

    Returns:
        The decorator; it raises KeyError where no stage has the function's name.
    """

    def decorate(function: Callable[..., Any]) -> dg.AssetsDefinition:
        before = stage_before(function.__name__)
        return dg.asset(
            deps=[INBOX if before is None else before.name],
            group_name=GROUP,
            owners=OWNERS,
            partitions_def=datasets,
            **options,
        )(function)

    return decorate


def plain_stage_asset(stage: Stage) -> dg.AssetsDefinition:
    """Return the asset of a stage that has no function of its own: it reports the path of the output."""

    def run(context: dg.AssetExecutionContext, factory: FactoryResource) -> dg.MaterializeResult:
        with run_stage(context, factory) as (onboarding, _):
            return dg.MaterializeResult(
                metadata={"path": dg.MetadataValue.path(str(stage.output(onboarding.files)))}
            )

    run.__name__ = stage.name
    return stage_asset(description=f"{stage.progress_text}.")(run)


@contextmanager
def run_stage(
    context: dg.AssetExecutionContext, factory: FactoryResource
) -> Iterator[tuple[Onboarding, Any]]:
    """Run the stage of this asset for this run's partition; yield the onboarding and the stage's result.

    What fails in the stage or in the block ends as Failed in the registry.

    Two runs of one upload take turns: each finds the stages done that the other has done. Nothing of a
    refused upload stays but what says why. Errors are raised without their causes, whose texts may hold the
    address of the archive with its secrets.

    Args:
        context: of the asset, whose name is that of the stage.
        factory: contains the upload and its registry.

    Raises:
        dagster.Failure: with the error's sentence and code.
        dagster.RetryRequested: the host of the archive is away, and tries are left.
    """
    key = context.partition_key
    hold_run_lock(factory.folder(), context.run.run_id)
    with ExitStack() as held:
        try:
            onboarding = Onboarding(key, factory.folder(), factory.intake_policy())
            held.enter_context(upload_lock(factory.folder(), key, context.log.info))
            if not onboarding.finished and not _set_status(context, factory, UploadStatus.ONBOARDING):
                raise dg.Failure(f"The upload {key} was deleted.", allow_retries=False)
            yield onboarding, stage_named(context.asset_key.path[-1]).run(onboarding)
        except (dg.Failure, dg.RetryRequested):
            raise
        except Exception as error:
            raise _record_failure(context, factory, error) from None


def _record_failure(
    context: dg.AssetExecutionContext, factory: FactoryResource, error: Exception
) -> Exception:
    """Write an error to the registry, and return what is raised instead of it."""
    key = context.partition_key
    code = error.code if isinstance(error, OnboardingError) else None
    if code != "DISK_FULL" and disk_is_full(error):
        error = OnboardingError("DISK_FULL", f"There is no space left to onboard {key}.")
    if isinstance(error, OSError) and error.errno in FORBIDDEN and error.filename:
        reason = (
            f"{describe_os_error(error)} The onboarding of {key} goes on from there when it is started again."
        )
        _set_status(context, factory, UploadStatus.FAILED, reason)
        return dg.Failure(description=reason, metadata={"code": "", "reason": reason}, allow_retries=False)
    if not isinstance(error, FactoryError):
        # Its text is for the log alone; a rerun goes on from where it was.
        reason = f"The onboarding of {key} met an unexpected error ({type(error).__name__})"
        _set_status(context, factory, UploadStatus.FAILED, f"{reason}; `factory upload logs {key}` shows it.")
        return error
    code = error.code if isinstance(error, OnboardingError) else None
    if code in TRANSIENT_CODES and context.retry_number + 1 < MOST_TRIES:
        context.log.warning(f"{error} It is tried again in {SECONDS_BETWEEN_TRIES} seconds.")
        return dg.RetryRequested(MOST_TRIES - 1, SECONDS_BETWEEN_TRIES)
    if code not in TRANSIENT_CODES:
        factory.folder().upload(key).drop_refused()
    _set_status(context, factory, UploadStatus.FAILED, str(error), code)
    return dg.Failure(
        description=f"{error} [{code}]" if code else str(error),
        metadata={"code": code or "", "reason": str(error)},
        allow_retries=False,
    )


def succeeded(context: dg.AssetExecutionContext, factory: FactoryResource) -> None:
    """Set the status of this run's upload to Succeeded.

    Args:
        context: of an asset; its partition is the upload.
        factory: contains the registry.
    """
    _set_status(context, factory, UploadStatus.SUCCEEDED)


def check_results(
    context: dg.AssetExecutionContext,
    factory: FactoryResource,
    checks: Sequence[Check],
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.ERROR,
) -> list[dg.AssetCheckResult]:
    """Return checks as asset checks with their files; the first failed one is the reason in the registry too.

    Args:
        context: of the asset; its partition is the upload.
        factory: contains the upload and its registry.
        checks: of a stage.
        severity: below ERROR the upload goes on.
    """
    results = [
        dg.AssetCheckResult(
            check_name=check.name,
            passed=check.passed,
            severity=severity,
            description=check.message,
            metadata={"files": dg.MetadataValue.json(list(check.files))} if check.files else {},
        )
        for check in checks
    ]
    if severity is dg.AssetCheckSeverity.ERROR:
        try:
            require(checks)
        except OnboardingError as error:
            factory.folder().upload(context.partition_key).drop_refused()
            _set_status(context, factory, UploadStatus.FAILED, str(error), error.code)
            context.log.error(f"{error} [{error.code}]")
    return results


def _set_status(
    context: dg.AssetExecutionContext,
    factory: FactoryResource,
    status: UploadStatus,
    reason: str | None = None,
    code: str | None = None,
) -> bool:
    """Set the status in the registry; a failure is an event of the asset too, seen without the log."""
    if status is UploadStatus.FAILED:
        context.log_event(
            dg.AssetObservation(
                asset_key=context.asset_key,
                partition=context.partition_key,
                description=reason,
                metadata={"status": status.value, "reason": reason or "", "code": code or ""},
            )
        )
    with closing(factory.registry()) as registry:
        return registry.set_status(
            context.partition_key, status, reason=reason, code=code, run_id=context.run.run_id
        )
