"""The style of plots: that of Matplotlib as it is shipped, whatever the caller or a settings file has set.

Matplotlib keeps its style for the whole process, and a notebook often has one of its own: dark, or with texts
that LaTeX sets. The same data give the same bytes all the same.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_lock = threading.Lock()
"""One block at a time: of two that overlap, the later one would leave the style of the earlier one behind."""


@contextmanager
def plot_style(changes: Any = None) -> Iterator[None]:
    """Draw in the style that is shipped within the block, and put the caller's back; blocks are not nested.

    Args:
        changes: settings of Matplotlib that differ from it, by name; None for none.
    """
    import matplotlib as mpl  # takes half a second, and most commands draw nothing

    with _lock, mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(changes or {})
        yield
