"""Which products show the same acquisition: one satellite, one pass, in whatever tile and processing."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Protocol, TypeVar

LONGEST_GAP = timedelta(minutes=30)
"""Products of one satellite that are closer in time are of one pass: it passes a place again after 100
minutes at the earliest, and its tiles follow each other within seconds."""
_NEVER = datetime.min.replace(tzinfo=UTC)


class Acquired(Protocol):
    """A product of an acquisition, of whatever collection."""

    @property
    def id(self) -> str:
        """Item id."""

    @property
    def time(self) -> datetime:
        """When it was taken, in UTC."""

    @property
    def platform(self) -> str:
        """The satellite; empty if the item does not have it."""

    @property
    def grid(self) -> object:
        """Which tile it is of."""

    @property
    def baseline(self) -> str:
        """Processing baseline, such as `05.11`."""

    @property
    def processed(self) -> datetime | None:
        """When this processing was made, in UTC; None if the item does not have it."""


AnyProduct = TypeVar("AnyProduct", bound=Acquired)


def newest_processings(products: Iterable[AnyProduct]) -> list[AnyProduct]:
    """Return the products without those of which a newer processing is there, in the order of their ids.

    Two products are processings of one acquisition where satellite, pass and grid are the same.
    """
    products = sorted(products, key=lambda product: product.id)
    newest: dict[tuple[int, object], AnyProduct] = {}
    for number, product in zip(number_acquisitions(products), products, strict=True):
        key = number, product.grid
        if key not in newest or _age(product) > _age(newest[key]):
            newest[key] = product
    return sorted(newest.values(), key=lambda product: product.id)


def number_acquisitions(products: Sequence[Acquired]) -> list[int]:
    """Return for each product the number of its acquisition."""
    numbers = [0] * len(products)
    order = sorted(range(len(products)), key=lambda i: (products[i].platform, products[i].time))
    number = -1
    previous: Acquired | None = None
    for index in order:
        product = products[index]
        if (
            previous is None
            or product.platform != previous.platform
            or product.time - previous.time > LONGEST_GAP
        ):
            number += 1
        numbers[index] = number
        previous = product
    return numbers


def _age(product: Acquired) -> tuple[datetime, tuple[int, ...], str]:
    """Larger for a newer processing."""
    baseline = tuple(int(part) for part in product.baseline.split(".") if part.isdecimal())
    return product.processed or _NEVER, baseline, product.id
