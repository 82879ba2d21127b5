"""Which products are of one acquisition, and the newest processing of each."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from factory_pipeline.stac.acquisitions import newest_processings, number_acquisitions

TIME = datetime(2024, 6, 1, 10, tzinfo=UTC)


@dataclass(frozen=True)
class Product:
    """A product, as the module knows it."""

    id: str
    time: datetime = TIME
    platform: str = "sentinel-2a"
    grid: object = "32UPU"
    baseline: str = "05.00"
    processed: datetime | None = None


def test_satellite_and_time_tell_acquisitions_apart():
    products = [
        Product("a"),
        Product("b", TIME + timedelta(seconds=20), grid="32UQU"),
        Product("c", TIME + timedelta(minutes=100)),
        Product("d", platform="sentinel-2b"),
    ]
    first, second, third, fourth = number_acquisitions(products)
    assert first == second
    assert len({first, third, fourth}) == 3


def test_the_newest_processing_of_each_tile_stays():
    old = Product("a", processed=TIME + timedelta(hours=3))
    new = Product("b", processed=TIME + timedelta(days=300))
    other = Product("c", grid="32UQU")
    assert newest_processings([new, other, old]) == [new, other]


def test_baselines_are_compared_as_numbers():
    assert newest_processings([Product("a", baseline="05.9"), Product("b", baseline="05.11")]) == [
        Product("b", baseline="05.11")
    ]
