"""The house style: one file of settings, applied to all that is drawn and saved."""

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from symstudy.plots.page import as_wide_as, scaled

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["STYLE", "theme"]

STYLE = Path(__file__).parent / "journal.mplstyle"
"""The one file that says how figures look."""


@contextmanager
def theme(width_mm: float | None = None) -> "Iterator[None]":
    """Draw in the house style, on no screen, for a page of this width.

    Settings of a `matplotlibrc` do not count: one in the working directory may be somebody else's,
    and may name functions to call and programs to typeset with.

    Args:
        width_mm: Width of figures in print, in millimetres; what each needs if None.
    """
    import matplotlib as mpl

    mpl.use("agg")
    import seaborn as sns

    defaults: Any = mpl.rcParamsDefault
    plain: Any = {key: value for key, value in defaults.items() if key != "backend"}
    style: Any = mpl.rc_params_from_file(STYLE, use_default_template=False)
    with as_wide_as(width_mm) as page, mpl.rc_context(plain), sns.axes_style("ticks"):
        parameters: Any = mpl.rcParams
        parameters.update(scaled(dict(style), page.text))
        yield
