"""The world of the sample: terrain, biomass, land cover, clouds and reflectance as functions of place.

Everything is value noise (random values on a lattice, smoothly interpolated) in several octaves, so that any
pixel of any raster and any footprint can be computed alone and they agree with one another. Ask for some
ten thousand places at a time: arrays that fit into the processor's cache are computed five times faster.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import cache, lru_cache

import numpy as np
from numpy.typing import NDArray

from factory_pipeline.synthetic.reflectance import EndMember, band_reflectance

Floats = NDArray[np.float32]
Places = NDArray[np.float64]

METRES_PER_DEGREE = 111_320.0
"""Scale of the noise; longitudes are not shortened towards the poles."""

_LATTICE = 256

NEAR_INFRARED = ("B06", "B07", "B08", "B8A", "B09")
"""Bands in which leaves scatter."""


class Cover(IntEnum):
    """Class codes of ESA WorldCover that the sample's world has."""

    TREE = 10
    SHRUB = 20
    GRASS = 30
    CROP = 40
    BUILT = 50
    BARE = 60
    WATER = 80
    WETLAND = 90


# True class and the class that a map shows for some of it.
_CONFUSED = ((Cover.SHRUB, Cover.TREE), (Cover.GRASS, Cover.CROP), (Cover.CROP, Cover.GRASS))


class SceneClass(IntEnum):
    """Classes of Sentinel-2's scene classification (SCL) that the sample's world has."""

    DARK = 2
    CLOUD_SHADOW = 3
    VEGETATION = 4
    NOT_VEGETATED = 5
    WATER = 6
    UNCLASSIFIED = 7
    CLOUD_MEDIUM = 8
    CLOUD_HIGH = 9
    THIN_CIRRUS = 10


@dataclass(frozen=True)
class Surface:
    """The ground at some places; every array has their shape."""

    x: Places
    """Metres east on the noise lattice."""
    y: Places
    """Metres north on the noise lattice."""
    elevation: Floats
    """Metres."""
    biomass: Floats
    """Aboveground biomass density, Mg/ha."""
    cover: NDArray[np.uint8]
    """Cover codes."""
    parcel: Floats
    """A value in 0..1 that is constant over a field: decides what grows there and when."""
    shade: Floats
    """Brightness by the slope towards the morning sun, about 1."""


@dataclass(frozen=True)
class Sky:
    """The clouds of one acquisition."""

    key: int
    """Tells the clouds and the noise of one acquisition from those of another."""
    cover: float
    """Fraction of a large area that is under clouds."""
    bank: tuple[float, float, float] | None = None
    """Longitude, latitude and radius in metres of a cloud bank that is there beside the others."""


@dataclass(frozen=True)
class WorldScene:
    """The ground and the sky over it on one day; every array has the shape of the surface's."""

    surface: Surface
    key: int
    """The sky's key."""
    thickness: Floats
    """0 where the sky is clear to 1 in the middle of a cloud."""
    shadow: NDArray[np.bool_]
    """True where a cloud stands between the ground and the morning sun."""
    green: Floats
    """0 without green leaves to 1."""
    mixture: Mapping[EndMember, Floats]
    """Fractions of the pure spectra; they sum to one."""


@dataclass(frozen=True)
class World:
    """A landscape that is wholly decided by its seed."""

    seed: int

    def elevation(self, lon: Places, lat: Places) -> Floats:
        """Height of the terrain in metres.

        Args:
            lon: degrees.
            lat: degrees.
        """
        return self._terrain(lon * METRES_PER_DEGREE, lat * METRES_PER_DEGREE)[0]

    def surface(self, lon: Places, lat: Places) -> Surface:
        """Return the ground at these places (degrees).

        Args:
            lon: degrees.
            lat: degrees.
        """
        x, y = np.asarray(lon) * METRES_PER_DEGREE, np.asarray(lat) * METRES_PER_DEGREE
        elevation, upland = self._terrain(x, y)
        sunward_rise = (self._terrain(x + 21.0, y - 21.0)[0] - elevation) / 30.0
        shade = np.clip(1.0 - 0.9 * sunward_rise, 0.55, 1.25)
        parcel = self._parcel(x, y)
        cover, density = self._cover(x, y, elevation, upland, parcel)
        return Surface(x, y, elevation, self._biomass(x, y, cover, density), cover, parcel, shade)

    def worldcover(self, lon: Places, lat: Places, years: Sequence[int]) -> list[NDArray[np.uint8]]:
        """Return the land cover as the map of each year shows it: each map confuses other patches.

        Args:
            lon: degrees.
            lat: degrees.
            years: of the maps.
        """
        x, y = np.asarray(lon) * METRES_PER_DEGREE, np.asarray(lat) * METRES_PER_DEGREE
        true_cover, _ = self._cover(x, y, *self._terrain(x, y), self._parcel(x, y))
        maps = []
        for year in years:
            confused = self._noise(f"confusion-{year}", x, y, 120.0, octaves=2) > 0.72
            cover = true_cover.copy()
            for true, mapped in _CONFUSED:
                cover[confused & (true_cover == true)] = mapped
            maps.append(cover)
        return maps

    def scene(self, surface: Surface, sky: Sky, day_of_year: int) -> WorldScene:
        """Return what an acquisition sees of the ground on that day.

        Args:
            surface: the ground.
            sky: the clouds.
            day_of_year: 1 to 366, for the season.
        """
        green = self._greenness(surface, day_of_year)
        # Where the ray from the morning sun passes the clouds' height.
        shadowing = self._thickness(surface.x + 700.0, surface.y - 500.0, sky) > 0.2
        return WorldScene(
            surface=surface,
            key=sky.key,
            thickness=self._thickness(surface.x, surface.y, sky),
            shadow=shadowing,
            green=green,
            mixture=_mixture(surface, green),
        )

    def scene_classes(self, scene: WorldScene) -> NDArray[np.uint8]:
        """SCL codes."""
        surface, cover = scene.surface, scene.surface.cover
        classes = np.full(cover.shape, SceneClass.VEGETATION, dtype=np.uint8)
        fallow = (cover == Cover.CROP) & (scene.green < 0.35)
        classes[fallow | (cover == Cover.BUILT) | (cover == Cover.BARE)] = SceneClass.NOT_VEGETATED
        classes[cover == Cover.WATER] = SceneClass.WATER
        classes[surface.shade < 0.66] = SceneClass.DARK
        classes[self._grain(f"speckle-{scene.key}", surface, 60.0) > 0.975] = SceneClass.UNCLASSIFIED
        classes[scene.shadow] = SceneClass.CLOUD_SHADOW
        classes[scene.thickness > 0] = SceneClass.THIN_CIRRUS
        classes[scene.thickness > 0.2] = SceneClass.CLOUD_MEDIUM
        classes[scene.thickness > 0.5] = SceneClass.CLOUD_HIGH
        return classes

    def reflectance(self, scene: WorldScene, band: str) -> Floats:
        """Bottom-of-atmosphere reflectance in counts of 1/10000, as seen through the clouds.

        Args:
            scene: what is seen of the ground.
            band: such as B04.
        """
        surface = scene.surface
        ground = band_reflectance(band, scene.mixture) * surface.shade
        # High stands are darker: their crowns shade one another, in the near infrared less.
        canopy = surface.biomass / (surface.biomass + 180.0)
        ground *= 1.0 - (0.15 if band in NEAR_INFRARED else 0.45) * canopy
        ground *= np.where(scene.shadow, np.float32(0.45), np.float32(1.0))
        ground *= 1.0 + 0.03 * self._grain(f"{scene.key}-{band}", surface, 10.0)
        opacity = np.minimum(scene.thickness * 1.3, 0.95)
        cloud = band_reflectance(band, {EndMember.CLOUD: np.float32(1.0)})
        return np.maximum(ground * (1 - opacity) + cloud * opacity, 1.0).astype(np.float32)

    def _terrain(self, x: Places, y: Places) -> tuple[Floats, Floats]:
        """Height in metres, and 0 in the plain to 1 in the hills."""
        lowland = 470.0 + 150.0 * self._noise("lowland", x, y, 14_000.0, octaves=4)
        upland = _smoothstep(0.0, 0.5, self._noise("upland", x, y, 16_000.0, octaves=2))
        ridges = 1.0 - np.abs(self._noise("ridges", x, y, 4_500.0, octaves=4))
        return (lowland + upland * 420.0 * ridges * ridges).astype(np.float32), upland

    def _parcel(self, x: Places, y: Places) -> Floats:
        """Fields of about 260 m by 180 m, turned against north."""
        lattice = _lattice(self.seed, "parcels")
        along, across = np.floor((0.93 * x + 0.37 * y) / 260.0), np.floor((0.93 * y - 0.37 * x) / 180.0)
        index = _lattice_index(along.astype(np.int64), across.astype(np.int64))
        return (lattice.take(index) + 1.0) / 2.0

    def _cover(
        self, x: Places, y: Places, elevation: Floats, upland: Floats, parcel: Floats
    ) -> tuple[NDArray[np.uint8], Floats]:
        """Cover codes, and the density of the woods (from 0.5 up they are closed)."""
        river = np.abs(self._noise("river", x, y, 11_000.0, octaves=4))
        arable = self._noise("arable", x, y, 3_200.0, octaves=3) - 0.9 * upland
        woods = self._noise("woods", x, y, 2_600.0, octaves=5)
        density = (0.5 + 0.9 * woods + 0.25 * upland - 0.25 * np.clip(arable, 0.0, 0.6)).astype(np.float32)
        town = self._noise("town", x, y, 4_200.0, octaves=3) - 0.6 * upland

        cover = np.full(x.shape, Cover.GRASS, dtype=np.uint8)
        cover[(arable > -0.12) & (parcel > 0.22)] = Cover.CROP
        cover[density > 0.38] = Cover.SHRUB
        cover[density > 0.5] = Cover.TREE
        cover[(elevation > 960.0) & (density < 0.5)] = Cover.BARE
        cover[(town > 0.85) & (parcel > 0.3)] = Cover.BUILT
        cover[(river < 0.035) & (density < 0.6) & (upland < 0.5)] = Cover.WETLAND
        cover[(river < 0.013) & (upland < 0.9)] = Cover.WATER
        return cover, density

    def _biomass(self, x: Places, y: Places, cover: NDArray[np.uint8], density: Floats) -> Floats:
        woods = 55.0 + 420.0 * np.clip(density - 0.5, 0.0, 0.75)
        shrub = 18.0 + 270.0 * np.clip(density - 0.38, 0.0, 0.12)
        biomass = np.select(
            [
                cover == Cover.TREE,
                cover == Cover.SHRUB,
                cover == Cover.WATER,
                cover == Cover.BARE,
                cover == Cover.WETLAND,
            ],
            [woods, shrub, 0.0, 2.0, 14.0],
            default=7.0 + 6.0 * density,
        )
        crowns = self._noise("crowns", x, y, 70.0, octaves=2)
        return np.maximum(biomass * (1.0 + 0.18 * crowns), 0.0).astype(np.float32)

    def _greenness(self, surface: Surface, day_of_year: int) -> Floats:
        """0 without green leaves to 1: seasons in the mid latitudes, two harvests on the fields."""
        lat = surface.y / METRES_PER_DEGREE
        season = 0.5 - 0.5 * np.cos(2 * np.pi * (day_of_year - 15) / 365.25) * np.sign(lat + 1e-9)
        seasonal = _smoothstep(12.0, 35.0, np.abs(lat))
        leaves = (0.85 * (1 - seasonal) + seasonal * _smoothstep(0.35, 0.85, season)).astype(np.float32)
        harvest = 0.5 + 0.5 * np.cos(2 * np.pi * (2 * day_of_year / 365.25 + surface.parcel * 1.7))
        return np.where(surface.cover == Cover.CROP, harvest * (0.3 + 0.7 * leaves), leaves).astype(
            np.float32
        )

    def _thickness(self, x: Places, y: Places, sky: Sky) -> Floats:
        threshold = _cloud_threshold(self, sky.cover)
        bank: Places | None = None
        if sky.bank is not None:
            lon, lat, radius = sky.bank
            away = np.hypot(
                (x - lon * METRES_PER_DEGREE) * np.cos(np.radians(lat)), y - lat * METRES_PER_DEGREE
            )
            bank = 1.0 - away / radius
        field = np.zeros(np.shape(x), dtype=np.float32)
        for number, octave in enumerate(self._octaves(f"cloud-{sky.key}", x, y, 3_500.0, octaves=5)):
            field += octave
            # What the octaves that are left can add at most, and what rounding may have taken.
            highest = float(field.max(initial=-np.inf)) + 1.2 * (0.5**number - 0.5**4) + 1e-3
            if highest < threshold and (bank is None or bank.max() + 0.5 * highest < 0.0):
                return np.zeros(np.shape(x), dtype=np.float32)
        thickness = (field - threshold) / 0.5
        if bank is not None:
            thickness = np.maximum(thickness, bank + 0.5 * field)
        return np.clip(thickness, 0.0, 1.0).astype(np.float32)

    def _grain(self, field: str, surface: Surface, size: float) -> Floats:
        """Noise in -1..1 without relation between cells of `size` metres."""
        lattice = _lattice(self.seed, field)
        column = np.floor(surface.x / size).astype(np.int64)
        row = np.floor(surface.y / size).astype(np.int64)
        first = lattice.take(_lattice_index(column, row))
        # A second lattice, sheared against the first, so that the pattern doesn't repeat after 256 cells.
        second = lattice.take(_lattice_index(column + 3 * row + (row >> 8), 5 * row + 7 * (column >> 8)))
        return (first + second) / 2.0

    def _noise(self, field: str, x: Places, y: Places, wavelength: float, octaves: int) -> Floats:
        """Value noise, mostly within -1..1; each octave has half the wavelength and half the height."""
        total = np.zeros(np.shape(x), dtype=np.float32)
        for octave in self._octaves(field, x, y, wavelength, octaves):
            total += octave
        return total

    def _octaves(self, field: str, x: Places, y: Places, wavelength: float, octaves: int) -> Iterator[Floats]:
        """Yield the octaves of value noise, which it is the sum of; the first is within -1.2..1.2."""
        cells = _cells(self.seed, field)
        for octave in range(octaves):
            # Turning each octave hides the directions of the lattice.
            turn = 0.6 + 1.1 * octave
            scale = 2.0**octave / wavelength
            # In place: new arrays of this size take as long as the arithmetic.
            along, across = np.cos(turn) * x, np.cos(turn) * y
            along += np.sin(turn) * y
            across -= np.sin(turn) * x
            along *= scale
            across *= scale
            yield _interpolate(cells, along, across) * np.float32(1.2 * 0.5**octave)


def _mixture(surface: Surface, green: Floats) -> dict[EndMember, Floats]:
    """Fractions of the pure spectra; they sum to one."""
    cover = surface.cover
    closure = (1.0 - np.exp(-surface.biomass / 55.0)).astype(np.float32)
    open_ground = 1.0 - closure
    built = (cover == Cover.BUILT) * (0.55 + 0.35 * surface.parcel) * open_ground
    rock = np.where(cover == Cover.BARE, np.float32(0.8), np.float32(0.0)) * open_ground
    wet = np.where(cover == Cover.WATER, 1.0, np.where(cover == Cover.WETLAND, 0.3, 0.0))
    water = wet.astype(np.float32) * open_ground
    rest = open_ground - built - rock - water
    evergreen = 0.35 + 0.65 * green
    return {
        EndMember.CANOPY: closure * evergreen,
        EndMember.BARE_CANOPY: closure * (1.0 - evergreen),
        EndMember.HERBS: rest * (0.15 + 0.8 * green),
        EndMember.SOIL: rest * (0.85 - 0.8 * green),
        EndMember.BUILT: built,
        EndMember.ROCK: rock,
        EndMember.WATER: water,
    }


@lru_cache(maxsize=128)
def _lattice(seed: int, field: str) -> Floats:
    """256x256 random values in -1..1, flat."""
    generator = np.random.default_rng([seed, *field.encode()])
    return generator.uniform(-1.0, 1.0, _LATTICE * _LATTICE).astype(np.float32)


def _lattice_index(column: NDArray[np.int64], row: NDArray[np.int64]) -> NDArray[np.int64]:
    return ((row & (_LATTICE - 1)) << 8) | (column & (_LATTICE - 1))


@lru_cache(maxsize=32)
def _cells(seed: int, field: str) -> Floats:
    """Return a row for each cell of the lattice, which goes on at its other side, so that one look finds all.

    Of its lower edge the value at the left corner and the rise from there to the right one, then the same of
    its upper edge.
    """
    corners = np.pad(_lattice(seed, field).reshape(_LATTICE, _LATTICE), (0, 1), mode="wrap")
    rise = np.diff(corners, axis=1)
    edges = (corners[:-1, :-1], rise[:-1], corners[1:, :-1], rise[1:])
    return np.stack(edges, axis=-1).reshape(-1, len(edges))


def _interpolate(cells: Floats, along: Places, across: Places) -> Floats:
    column, row = np.floor(along), np.floor(across)
    u = _fade((along - column).astype(np.float32))
    v = _fade((across - row).astype(np.float32))
    index = row.astype(np.int32)
    index &= _LATTICE - 1
    index *= _LATTICE
    index += column.astype(np.int32) & (_LATTICE - 1)
    cell = cells.take(index, axis=0)
    low = cell[..., 1] * u
    low += cell[..., 0]
    high = cell[..., 3] * u
    high += cell[..., 2]
    high -= low
    high *= v
    high += low
    return high


def _fade(t: Floats) -> Floats:
    """Hermite easing."""
    eased = t * t
    eased *= np.float32(3.0) - np.float32(2.0) * t
    return eased


def _smoothstep(low: float, high: float, value: NDArray[np.floating] | float) -> Floats:
    t = np.clip((np.asarray(value, dtype=np.float32) - low) / (high - low), 0.0, 1.0)
    return (t * t * (3.0 - 2.0 * t)).astype(np.float32)


@cache
def _cloud_threshold(world: World, cover: float) -> float:
    """Return the value above which the cloud field covers this fraction of a large area."""
    x, y = np.random.default_rng(world.seed).uniform(0.0, 1e6, (2, 20_000))
    return float(np.quantile(world._noise("cloud", x, y, 3_500.0, octaves=5), 1.0 - cover))
