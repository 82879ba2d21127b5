"""What the sample archive is made of: overpasses of GEDI and the Sentinel-2 acquisitions around them.

The area is at 15 E, 48.6 N: there the central meridian of UTM zone 33 is at once the edge between two
Sentinel-2 tiles (with their overlap east of it), two tiles of Copernicus DEM and two of WorldCover.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

from factory_pipeline.synthetic.granules import Overpass
from factory_pipeline.synthetic.sentinel2 import Visit


@dataclass(frozen=True)
class ArchivePlan:
    """The overpasses of an archive, each with the acquisitions around it."""

    overpasses: tuple[Overpass, ...]


DEMO_PLAN = ArchivePlan(
    (
        Overpass(
            datetime(2020, 4, 22, 13, 41, 7, tzinfo=UTC),
            orbit=7719,
            sub_orbit=2,
            track=3061,
            ascending=True,
            lon=14.997,
            lat=48.611,
            visits=(Visit(-3, 6.2), Visit(4, 18.4)),
        ),
        # The least cloudy product of this one has its few clouds right over the western footprints.
        Overpass(
            datetime(2020, 6, 8, 18, 2, 40, tzinfo=UTC),
            orbit=8452,
            sub_orbit=2,
            track=1204,
            ascending=False,
            lon=15.062,
            lat=48.608,
            visits=(Visit(-1, 1.4, bank_radius=1_800.0), Visit(5, 7.9)),
            rejected_beam="BEAM0001",
        ),
        # One product that was processed again with an offset, one that is too cloudy.
        Overpass(
            datetime(2020, 7, 25, 9, 17, 55, tzinfo=UTC),
            orbit=9180,
            sub_orbit=3,
            track=4417,
            ascending=True,
            lon=15.067,
            lat=48.613,
            visits=(Visit(3, 3.3, baseline="05.00"), Visit(-2, 41.0)),
            rejected_beam="BEAM0010",
        ),
        # The least cloudy product lacks a band.
        Overpass(
            datetime(2020, 9, 12, 5, 36, 12, tzinfo=UTC),
            orbit=9939,
            sub_orbit=3,
            track=2950,
            ascending=False,
            lon=15.0,
            lat=48.611,
            visits=(Visit(-4, 2.1, lacks=("B11",)), Visit(1, 8.8)),
            rejected_beam="BEAM0110",
        ),
        Overpass(
            datetime(2021, 4, 30, 16, 5, 31, tzinfo=UTC),
            orbit=13507,
            sub_orbit=2,
            track=3061,
            ascending=True,
            lon=15.02,
            lat=48.606,
            visits=(Visit(2, 4.0, baseline="03.00"), Visit(-5, 12.7, baseline="03.00")),
            rejected_beam="BEAM0000",
        ),
        Overpass(
            datetime(2021, 7, 2, 14, 48, 3, tzinfo=UTC),
            orbit=14486,
            sub_orbit=3,
            track=778,
            ascending=False,
            lon=15.066,
            lat=48.612,
            visits=(Visit(-2, 2.6, baseline="05.00"), Visit(3, 22.5, baseline="03.00")),
        ),
        Overpass(
            datetime(2021, 8, 20, 8, 22, 49, tzinfo=UTC),
            orbit=15246,
            sub_orbit=2,
            track=5123,
            ascending=True,
            lon=14.995,
            lat=48.615,
            visits=(Visit(-1, 6.6, baseline="03.01"), Visit(6, 55.0, baseline="05.00")),
            rejected_beam="BEAM0101",
        ),
    )
)
"""The archive of the demo: four granules in 2020, three in 2021."""

GRANULE_VISITS = (
    (Visit(3, 4.1), Visit(-6, 14.3, baseline="05.00")),
    (Visit(-2, 3.4, baseline="05.00"), Visit(6, 15.8, baseline="03.00")),
)
"""The acquisitions around granules that are given, in turns."""
