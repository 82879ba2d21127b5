"""Boxes of one section in MIP 0 pixels, and what they are at another mip."""

from dataclasses import dataclass, replace


@dataclass(frozen=True, order=True, slots=True)
class Box:
    """A rectangle of the section `z`; x and y in MIP 0 pixels."""

    z: int
    y: int
    x: int
    width: int
    """Along x, in MIP 0 pixels."""
    height: int
    """Along y, in MIP 0 pixels."""

    def moved(self, x: int, y: int) -> "Box":
        """Return the box moved by some MIP 0 pixels.

        Args:
            x: MIP 0 pixels.
            y: MIP 0 pixels.
        """
        return replace(self, x=self.x + x, y=self.y + y)

    def around(self, width: int, height: int) -> "Box":
        """Return the box of another size, in MIP 0 pixels, that has the same centre (rounded down).

        Args:
            width: MIP 0 pixels.
            height: MIP 0 pixels.
        """
        x = self.x + self.width // 2 - width // 2
        y = self.y + self.height // 2 - height // 2
        return Box(self.z, y, x, width, height)

    def pixels(self, mip: int) -> tuple[slice, slice]:
        """Return the ranges of x and y at a mip: start and size are rounded down to whole pixels."""
        x, y = self.x // 2**mip, self.y // 2**mip
        return slice(x, x + self.width // 2**mip), slice(y, y + self.height // 2**mip)
