"""Any sequence of what writers, readers and deleters do keeps what the registry promises."""

from contextlib import AbstractContextManager

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from factory_pipeline.datalake.registry.records import Version, VersionState
from factory_pipeline.datalake.registry.registry import Registry
from factory_pipeline.datalake.registry.schema import metadata
from factory_pipeline.datalake.registry.url import registry_url
from factory_pipeline.errors import RegistryError
from factory_pipeline_tests.datalake.registry.factories import SPEC, finish, let_leases_run_out
from factory_pipeline_tests.examples import up_to

pytestmark = pytest.mark.integration

Block = AbstractContextManager[Version]


class DatasetLife(RuleBasedStateMachine):
    """A model of two dataset names beside the registry.

    Blocks are entered and left by hand, so that they overlap. A holder that is frozen loses its lease;
    later it may wake and go on.
    """

    where: str

    def __init__(self) -> None:
        """Begin with an empty registry."""
        super().__init__()
        self.registry = Registry.open(self.where)
        self.names: dict[str, str] = {}
        """Name by the id of a living dataset."""
        self.ready: dict[str, Version] = {}
        self.deleted: dict[str, Version] = {}
        self.writing: dict[str, tuple[Version, Block]] = {}
        self.frozen: dict[str, tuple[Version, Block]] = {}
        self.reading: list[tuple[str, Block]] = []

    def teardown(self) -> None:
        """Leave all blocks and empty the registry."""
        for _, block in [*self.writing.values(), *self.frozen.values()]:
            block.__exit__(ZeroDivisionError, ZeroDivisionError(), None)
        for _, block in self.reading:
            block.__exit__(None, None, None)
        self.registry.close()
        engine = sa.create_engine(registry_url(self.where))
        with engine.begin() as connection:
            for table in reversed(metadata.sorted_tables):
                connection.execute(table.delete())
        engine.dispose()

    @rule(name=st.sampled_from(["Balloons", "Floods"]))
    def create(self, name: str) -> None:
        """A name that is free gives 1.0.0, one that is taken an error."""
        self._clear_frozen()
        block = self.registry.create_dataset(name, SPEC)
        if name in self.names.values():
            with pytest.raises(RegistryError, match="is in use"):
                block.__enter__()
            return
        version = block.__enter__()
        assert version.number == "1.0.0"
        self.names[version.dataset_id] = name
        self.writing[version.id] = (version, block)

    @precondition(lambda self: self.ready)
    @rule(data=st.data(), revision=st.booleans())
    def begin_version(self, data: st.DataObject, revision: bool) -> None:
        """The next version has the number after the highest that is known."""
        self._clear_frozen()
        source = self.ready[data.draw(st.sampled_from(sorted(self.ready)))]
        block = self.registry.new_version(source.id, SPEC, revision=revision)
        known = [version for version in self._known() if version.dataset_id == source.dataset_id]
        version = block.__enter__()
        if revision:
            patches = [other.patch for other in known if other.minor == source.minor]
            assert version.number == f"1.{source.minor}.{max(patches) + 1}"
        else:
            assert version.number == f"1.{max(other.minor for other in known) + 1}.0"
        self.writing[version.id] = (version, block)

    @precondition(lambda self: self.writing)
    @rule(data=st.data(), fails=st.booleans())
    def end_writing(self, data: st.DataObject, fails: bool) -> None:
        """A writer finishes, or fails."""
        version, block = self.writing.pop(data.draw(st.sampled_from(sorted(self.writing))))
        if fails:
            block.__exit__(ZeroDivisionError, ZeroDivisionError(), None)
        else:
            self.ready[version.id] = finish(self.registry, version)
            block.__exit__(None, None, None)
        self._retire(version.dataset_id)

    @precondition(lambda self: self.writing or self.reading)
    @rule()
    def freeze(self) -> None:
        """All holders lose their leases."""
        let_leases_run_out(self.where)
        self.frozen |= self.writing
        self.writing = {}
        for _, block in self.reading:
            block.__exit__(None, None, None)
        self.reading = []

    @precondition(lambda self: self.frozen)
    @rule(data=st.data())
    def wake(self, data: st.DataObject) -> None:
        """A frozen writer that nobody cleared finishes."""
        version, block = self.frozen.pop(data.draw(st.sampled_from(sorted(self.frozen))))
        self.ready[version.id] = finish(self.registry, version)
        block.__exit__(None, None, None)

    @precondition(lambda self: self.ready)
    @rule(data=st.data())
    def read(self, data: st.DataObject) -> None:
        """Every ready version can be read."""
        version_id = data.draw(st.sampled_from(sorted(self.ready)))
        block = self.registry.reading(version_id)
        assert block.__enter__() == self.ready[version_id]
        self.reading.append((version_id, block))

    @precondition(lambda self: self.reading)
    @rule()
    def end_reading(self) -> None:
        """A reader ends."""
        _, block = self.reading.pop()
        block.__exit__(None, None, None)

    @precondition(lambda self: self.ready)
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        """A version is deleted unless it is being read."""
        version_id = data.draw(st.sampled_from(sorted(self.ready)))
        block = self.registry.deleting(version_id)
        if any(version_id == read for read, _ in self.reading):
            with pytest.raises(RegistryError, match="is being read"):
                block.__enter__()
            return
        block.__enter__()
        block.__exit__(None, None, None)
        self.deleted[version_id] = self.ready.pop(version_id)
        self._retire(self.deleted[version_id].dataset_id)

    @invariant()
    def the_registry_shows_what_was_done(self) -> None:
        """Living datasets, and in each the versions with their states; ready ones as they were finished."""
        assert {dataset.id: dataset.name for dataset in self.registry.datasets()} == self.names
        shown = {
            version.id: version for dataset_id in self.names for version in self.registry.versions(dataset_id)
        }
        unfinished = {**self.writing, **self.frozen}
        assert {key: version for key, version in shown.items() if key not in unfinished} == self.ready
        assert {key: version for key, version in shown.items() if key not in self.ready} == {
            key: version for key, (version, _) in unfinished.items()
        }

    @invariant()
    def deleted_versions_are_remembered(self) -> None:
        """A tombstone keeps the number from being given again."""
        for version in self.deleted.values():
            tombstone = self.registry.version(version.id)
            assert (tombstone.number, tombstone.state) == (version.number, VersionState.DELETED)

    def _known(self) -> list[Version]:
        unfinished = [version for version, _ in [*self.writing.values(), *self.frozen.values()]]
        return [*self.ready.values(), *self.deleted.values(), *unfinished]

    def _clear_frozen(self) -> None:
        """What the registry does with the dead before a new version begins."""
        for _, block in self.frozen.values():
            block.__exit__(ZeroDivisionError, ZeroDivisionError(), None)
        datasets = {version.dataset_id for version, _ in self.frozen.values()}
        self.frozen = {}
        for dataset_id in datasets:
            self._retire(dataset_id)

    def _retire(self, dataset_id: str) -> None:
        living = [
            *self.ready.values(),
            *(version for version, _ in [*self.writing.values(), *self.frozen.values()]),
        ]
        if all(version.dataset_id != dataset_id for version in living):
            self.names.pop(dataset_id, None)


def test_any_sequence_of_operations_keeps_the_promises(where: str) -> None:
    class Here(DatasetLife):
        pass

    Here.where = where
    run_state_machine_as_test(
        Here,
        settings=settings(
            max_examples=up_to(8),
            stateful_step_count=20,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
