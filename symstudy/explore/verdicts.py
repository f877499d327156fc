"""Verdicts, figures and drawn numbers as they were kept in the studies' folders."""

import csv
import io
from collections.abc import Callable, Sequence
from typing import Any

from symstudy.errors import StoreError
from symstudy.explore.view import RequestError
from symstudy.findings.kept import hold_values, member_of, read_findings
from symstudy.findings.standing import stand
from symstudy.store import StudyFolder
from symstudy.store.files.names import is_plain_name

__all__ = ["read_drawn", "read_picture", "read_verdicts"]

SHOWN = (
    *("claim", "study", "title", "statement", "reference", "rule", "rule_hash", "verdict", "alone"),
    *("label", "beside", "headline", "reason", "effect", "interval", "unit", "threshold", "seeds"),
    *(
        "p_value",
        "p_adjusted",
        "caveats",
        "family_words",
        "parts",
        "excluded",
        "rule_is_frozen",
        "queries",
    ),
)
MOST_DRAWN = 20_000
"""Rows of a drawn table that a page shows."""


def read_verdicts(
    folders: Sequence[StudyFolder], fingerprint_of: Callable[[str], str]
) -> dict[str, Any]:
    """Return the findings kept in the studies' folders, each as it stands in its family.

    Args:
        folders: The studies' folders.
        fingerprint_of: Returns the fingerprint of the rows of a study, by its name.

    Raises:
        StoreError: If the results cannot be read.
    """
    found = [(folder, read_findings(folder, fingerprint_of(folder.name))) for folder in folders]
    kept = [(folder, each) for folder, findings in found for each in findings.kept]
    members = [member_of(each.values, folder.name) for folder, each in kept]
    cards = []
    for (folder, each), standing in zip(kept, stand(members), strict=True):
        values = hold_values(each.values, standing)
        card = {name: values.get(name) for name in SHOWN}
        card["folder"] = folder.name
        card["is_stale"] = each.is_stale
        # Of two folders of one study the figure of the first is the one that is found by its name.
        is_found = folder == next(one for one in folders if one.name == folder.name)
        card["has_figure"] = is_found and folder.has_file("figures", f"{values['claim']}.svg")
        cards.append(card)
    refused = [f"{folder.path}/{name}" for folder, findings in found for name in findings.refused]
    return {"cards": cards, "refused": refused}


def place_of(folders: Sequence[StudyFolder], study: str, claim: str) -> StudyFolder:
    """Return the folder that a figure is in.

    Raises:
        RequestError: If there is no such study, or the claim is no plain name.
    """
    found = [folder for folder in folders if folder.name == study]
    if not found or not is_plain_name(claim):
        raise RequestError(f"a figure must be of a claim on a study here, but got {study}/{claim}.")
    return found[0]


def read_picture(folders: Sequence[StudyFolder], study: str, claim: str) -> bytes:
    """Return the figure of a claim, as SVG.

    Raises:
        RequestError: If there is no such study, or the claim is no plain name.
        StoreError: If it cannot be read.
    """
    return place_of(folders, study, claim).read_bytes("figures", f"{claim}.svg")


def read_drawn(folders: Sequence[StudyFolder], study: str, claim: str) -> dict[str, Any]:
    """Return what is drawn in the figure of a claim, and its caption.

    Raises:
        RequestError: If there is no such study, or the claim is no plain name.
        StoreError: If it cannot be read, or is no table.
    """
    folder = place_of(folders, study, claim)
    content = folder.read_bytes("figures", f"{claim}.csv")
    try:
        rows = list(csv.reader(io.StringIO(content.decode())))
    except (ValueError, csv.Error) as error:
        raise StoreError(
            f"the drawn numbers must be CSV, but figures/{claim}.csv of {study} is not: {error}. "
            "Draw it again: symstudy plot RESULTS"
        ) from error
    head = rows[0] if rows else []
    body = [[value_of(text) for text in row] for row in rows[1 : MOST_DRAWN + 1]]
    about = folder.read_json("figures", f"{claim}.json")
    caption = about.get("caption", "") if isinstance(about, dict) else ""
    return {
        "columns": head,
        "rows": body,
        "caption": str(caption),
        "is_all": len(rows) - 1 <= MOST_DRAWN,
    }


def value_of(text: str) -> Any:
    """Return a value of a table: a number where it is one, None where it is empty."""
    if not text:
        return None
    try:
        return int(text) if text.lstrip("-").isdecimal() else float(text)
    except ValueError:
        return text
