"""Importing releases by command: the same job and the same instance as the web UI."""

from contextlib import closing

from factory_pipeline.config.intake_policy import IntakePolicy
from factory_pipeline.datalake.ingest.releases.options import NOTHING_SAID, ReleaseOptions
from factory_pipeline.datalake.ingest.releases.receive import receive_release
from factory_pipeline.datalake.ingest.releases.register import register_release
from factory_pipeline.datalake.ingest.releases.report import ReleaseReport
from factory_pipeline.datalake.registry.of_home import open_registry
from factory_pipeline.orchestration.partitions import RELEASES
from factory_pipeline.runs.instance import open_instance, prepare_home
from factory_pipeline.runs.upload_run import require_success, run_upload
from factory_pipeline.storage.layout import FactoryHome


def import_release(address: str, home: FactoryHome, options: ReleaseOptions = NOTHING_SAID) -> ReleaseReport:
    """Import a release in this process; one that was imported before is not imported again.

    Args:
        address: URL or path of the archive; it may be anywhere on this machine.
        home: where it becomes a collection.
        options: what the user says of it.

    Raises:
        OnboardingError: it can't be imported; the message says why.
    """
    prepare_home(home)
    received = receive_release(address, home, IntakePolicy.of_home(home, all_folders=True), options)
    with closing(open_registry(home)) as registry:
        register_release(registry, received)
        with open_instance(home) as instance:
            instance.add_dynamic_partitions(RELEASES, [received.key])
            run_upload("import_release", received.key, instance, home)
        upload = registry.upload(received.key)
    require_success(upload, f"The import of {received.shown} did not finish; the web UI has its log.")
    return ReleaseReport.load(home.release(received.key).report)
