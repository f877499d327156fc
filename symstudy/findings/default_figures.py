"""Figures of a study without claims: what is swept against its main measures."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from symstudy.errors import StoreError
from symstudy.plots.defaults import DEFAULT, default_plots
from symstudy.plots.style import theme
from symstudy.store import Store, StudyFolder

__all__ = ["KeptFigure", "draw_defaults", "has_claims", "read_defaults"]

NAME = re.compile(rf"{DEFAULT}\w+", re.ASCII)
FIGURES = "figures"


class KeptFigure(NamedTuple):
    """A default figure as it was kept.

    Attributes:
        name: Name of its files.
        caption: What it shows.
        svg: Its picture.
        csv: What was drawn.
        is_stale: Whether rows have been added since.
    """

    name: str
    caption: str
    svg: bytes
    csv: bytes
    is_stale: bool


def draw_defaults(
    folder: StudyFolder, *, formats: Sequence[str] = ("svg",), width_mm: float | None = None
) -> list[str]:
    """Draw the default figures of a study; return the paths of pictures, tables and notes.

    Args:
        folder: The study.
        formats: Formats of the pictures.
        width_mm: Width in print; what each figure needs if None.

    Raises:
        StoreError: If the results cannot be read or the files cannot be written.
    """
    paths = []
    with theme(width_mm):
        for plot in default_plots(Store([folder]).plot):
            for ending, content in plot.files(formats).items():
                folder.write_bytes(content, FIGURES, f"{plot.name}.{ending}")
                paths.append(folder.join(FIGURES, f"{plot.name}.{ending}"))
    return paths


def has_claims(folder: StudyFolder) -> bool:
    """Return whether a study serves claims, whose figures are then those that are shown."""
    return bool(folder.read_study().get("claims"))


def read_defaults(folder: StudyFolder, fingerprint: str) -> list[KeptFigure]:
    """Return the default figures that are kept of a study; what is damaged is left out.

    Args:
        folder: The study.
        fingerprint: Hash of the rows there are now.
    """
    found = []
    for path in folder.list_files(FIGURES, ".json"):
        name = path.rsplit("/", 1)[-1].removesuffix(".json")
        if not NAME.fullmatch(name):
            continue
        try:
            about = folder.read_json(FIGURES, f"{name}.json")
            svg = folder.read_bytes(FIGURES, f"{name}.svg")
            table = folder.read_bytes(FIGURES, f"{name}.csv")
            caption, drawn_of = str(about["caption"]), about.get("fingerprint")
        except (StoreError, TypeError, LookupError, AttributeError):
            continue
        found.append(KeptFigure(name, caption, svg, table, drawn_of != fingerprint))
    return found
