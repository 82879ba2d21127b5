"""Plots have the style that Matplotlib is shipped with, and the caller's program keeps its own."""

import pytest

from factory_pipeline.imagery.plot_style import plot_style

CALLERS = {"figure.facecolor": "black", "text.usetex": True, "font.size": 30.0, "savefig.bbox": "tight"}
"""The style of a notebook whose texts LaTeX sets."""


@pytest.mark.integration  # loads matplotlib
def test_a_block_has_the_shipped_style_and_the_caller_its_own() -> None:
    import matplotlib as mpl

    with mpl.rc_context(CALLERS):
        backend = mpl.get_backend()
        with plot_style({"font.size": 9.5}):
            drawn = {name: mpl.rcParams[name] for name in CALLERS}
        assert drawn == {**{name: mpl.rcParamsDefault[name] for name in CALLERS}, "font.size": 9.5}
        assert {name: mpl.rcParams[name] for name in CALLERS} == CALLERS
        assert mpl.get_backend() == backend
