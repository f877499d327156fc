"""One self-contained HTML page about one or more studies."""

import base64
import csv
import datetime
import importlib.metadata
import io
import math
import re
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

from jinja2 import Environment, StrictUndefined

from symstudy.errors import StoreError
from symstudy.escaping import csv_text, printable
from symstudy.findings.default_figures import KeptFigure, has_claims, read_defaults
from symstudy.findings.finding import seed_range
from symstudy.findings.kept import Kept, hold_values, member_of, read_findings
from symstudy.findings.scale import told_scale
from symstudy.findings.standing import stand
from symstudy.quantities import duration
from symstudy.store import Store, StudyFolder, open_location, read_account, read_certificate

__all__ = ["render_report", "write_report"]

LAUNCH = (
    *("at", "new_runs", "git_sha", "git_dirty", "symstudy_version", "torch_version"),
    *("numpy_version", "python_version", "host"),
)
"""What the page says of each launch."""


def write_report(folders: Sequence[StudyFolder], location: str) -> str:
    """Write the report about `folders` to `location` and return its path.

    Args:
        folders: Studies to report.
        location: Folder that they were found in; the page is written there.

    Raises:
        StoreError: If results cannot be read or the page cannot be written.
    """
    filesystem, path = open_location(location)
    place = StudyFolder(filesystem, path)
    page = render_report(folders, location)
    place.write_bytes(page.encode(), "report.html")
    return place.join("report.html")


def render_report(folders: Sequence[StudyFolder], location: str) -> str:
    """Return the report about `folders` as HTML without any outside reference."""
    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        # Characters that reorder or hide text would do so in a page too.
        finalize=lambda value: printable(value) if type(value) is str else value,
    )
    environment.filters["number"] = number
    environment.filters["interval"] = interval
    environment.filters["p_value"] = p_value
    source = (resources.files("symstudy.html_report") / "page.html").read_text(encoding="utf-8")
    studies = [describe_study(folder) for folder in folders]
    claims = [claim for study in studies for claim in study["claims"]]
    for claim, standing in zip(claims, stand([claim["member"] for claim in claims]), strict=True):
        claim.update(hold_values(claim, standing))
    overview = sorted(claims, key=lambda claim: place_in_paper(claim["reference"]))
    title = studies[0]["title"] if len(studies) == 1 else "Studies and their claims"
    return environment.from_string(source).render(
        title=title,
        studies=studies,
        overview=overview,
        total_planned=sum(study["planned"] for study in studies),
        total_done=sum(study["done"] for study in studies),
        written_at=datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M"),
        version=importlib.metadata.version("symstudy"),
        location=location,
    )


def place_in_paper(reference: str) -> tuple[float, str]:
    """Return what sorts claims by the figure that they are about, those about none last.

    Args:
        reference: Of the claim, such as `arXiv:2502.05300, Fig. 3 (left)`.
    """
    found = re.search(r"Figs?\. (\d+)", reference)
    return (float(found[1]) if found else math.inf, reference)


def describe_study(folder: StudyFolder) -> dict[str, Any]:
    """Return everything that the page says of a study."""
    frozen = folder.read_study()
    scale = told_scale(frozen)
    findings = read_findings(folder)
    store = Store([folder])
    (account,) = read_account(store)
    engines, seconds = store.sql(
        "select coalesce(string_agg(distinct engine || ' on ' || device, ', '), 'nothing'), "
        "coalesce(sum(seconds), 0) from runs"
    ).rows[0]
    return {
        "name": folder.name,
        "title": frozen.get("title", folder.name),
        "description": frozen.get("description", ""),
        "scale": scale,
        "swept": frozen.get("swept", []),
        "launches": [describe_launch(launch) for launch in frozen.get("launches", [])],
        **account.counts(),
        "reasons": [
            {"outcome": outcome, "reason": reason, "count": count}
            for (outcome, reason), count in account.failed.items()
        ],
        "certificate": describe_certificate(store),
        "engines": engines,
        "hours": duration(seconds),
        "figures": [
            describe_figure(folder, each) for each in read_defaults(folder, store.fingerprint)
        ]
        if not has_claims(folder)
        else [],
        "claims": [
            {**describe_claim(folder, store.fingerprint, kept), "scale": scale}
            for kept in findings.kept
        ],
        "refused": findings.refused,
    }


def describe_launch(launch: Mapping[str, Any]) -> dict[str, str]:
    """Return what the page says of a launch, as texts; `?` for what is not written down."""
    values = {key: launch.get(key, "?") for key in LAUNCH}
    sources = launch.get("sources")
    values["own_files"] = len(sources) if isinstance(sources, dict) and sources else None
    # Empty is false to the page.
    return {
        key: "" if value is None or value is False else str(value) for key, value in values.items()
    }


def describe_certificate(store: Store) -> dict[str, Any]:
    """Return how runs trained alone compare with their packs."""
    certificate = read_certificate(store)
    return {**certificate._asdict(), "holds": certificate.holds}


def describe_claim(folder: StudyFolder, fingerprint: str, kept: Kept) -> dict[str, Any]:
    """Return what the page says of a finding, with its figure inside."""
    name = kept.values["claim"]
    picture, table, caption, figure_is_stale = "", "", "", False
    try:
        about = folder.read_json("figures", f"{name}.json")
        content = folder.read_bytes("figures", f"{name}.svg")
        drawn = plain_csv(folder.read_bytes("figures", f"{name}.csv"))
        caption, figure_is_stale = str(about["caption"]), about.get("fingerprint") != fingerprint
    except (StoreError, ValueError, TypeError, LookupError, AttributeError):
        # Not drawn yet, nothing to draw, or not as it was written: the finding stands without it.
        pass
    else:
        picture = f"data:image/svg+xml;base64,{base64.b64encode(content).decode()}"
        table = f"data:text/csv;base64,{base64.b64encode(drawn).decode()}"
    return {
        **kept.values,
        "member": member_of(kept.values, folder.name),
        "seed_range": seed_range(
            kept.values["seeds"],
            [part.get("seeds", 0) for part in kept.values["parts"] if part["decides"]],
        ),
        "anchor": f"{folder.name}-{name}",
        "is_stale": kept.is_stale,
        "picture": picture,
        "table": table,
        "caption": caption,
        "figure_is_stale": figure_is_stale,
    }


def describe_figure(folder: StudyFolder, figure: KeptFigure) -> dict[str, Any]:
    """Return what the page says of a default figure, with the picture inside."""
    try:
        drawn = plain_csv(figure.csv)
    except ValueError:
        drawn = b""
    return {
        "name": figure.name,
        "anchor": f"{folder.name}-{figure.name}",
        "caption": figure.caption,
        "picture": f"data:image/svg+xml;base64,{base64.b64encode(figure.svg).decode()}",
        "table": f"data:text/csv;base64,{base64.b64encode(drawn).decode()}",
        "is_stale": figure.is_stale,
    }


def plain_csv(content: bytes) -> bytes:
    """Return a CSV file in which no text begins a formula.

    Raises:
        ValueError: If it is no CSV file.
    """
    sink = io.StringIO()
    try:
        rows = list(csv.reader(io.StringIO(content.decode())))
    except csv.Error as error:
        raise ValueError(str(error)) from error
    plain = [[csv_text(text) for text in row] for row in rows]
    csv.writer(sink, lineterminator="\n").writerows(plain)
    return sink.getvalue().encode()


def number(value: float | None) -> str:
    """Return a number to three digits, or a dash."""
    return "-" if value is None else f"{value:.3g}"


def p_value(value: float | None) -> str:
    """Return a p-value to two digits, or what stands where there is none."""
    if value is None:
        return "-"
    return "< 0.0001" if value < 1e-4 else f"{value:.2g}"


def interval(value: Mapping[str, float]) -> str:
    """Return an interval as both its ends."""
    return f"[{value['low']:.3g}, {value['high']:.3g}]"
