"""Families of claims whose verdicts are corrected for each other, declared in `family.toml`.

The file lies beside the claims of a project. It has a table `[[family]]` for each family:

    [[family]]
    name   = "capacity"
    level  = 0.05
    claims = ["width_saturation/width_saturation", "phase_diagram/phase_diagram"]

A claim of a study that no family names is corrected for the claims that its own study declares.
"""

import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from symstudy.errors import ProjectError
from symstudy.statistics.part import ALPHA

__all__ = ["FAMILY_FILE", "Family", "family_of", "read_families"]

FAMILY_FILE = "family.toml"
KEYS = ("name", "level", "claims")


@dataclass(frozen=True)
class Family:
    """Claims whose verdicts are held against each other.

    Attributes:
        name: What it is called; of a study's own claims the study's name.
        claims: Its claims, as `study/claim`.
        level: Chance that any of its verdicts is wrong, at most.
        is_declared: Whether a file declares it, or it is the claims of one study.
    """

    name: str
    claims: tuple[str, ...]
    level: float = ALPHA
    is_declared: bool = True

    @property
    def words(self) -> str:
        """The family in words: its name and size."""
        count = f"{len(self.claims)} claim{'s' if len(self.claims) > 1 else ''}"
        whose = "the family" if self.is_declared else "the claims of the study"
        return f"{whose} {self.name} ({count}, {100 * self.level:g} %)"

    def to_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {
            "name": self.name,
            "claims": list(self.claims),
            "level": self.level,
            "is_declared": self.is_declared,
        }


def family_of(
    study: str, claim: str, families: Iterable[Family], served: Sequence[str] = ()
) -> Family:
    """Return the family of a claim on a study.

    Args:
        study: Name of the study.
        claim: Name of the claim.
        families: Those that are declared.
        served: Claims that the study declares, which are its family if no other is declared.
    """
    key = f"{study}/{claim}"
    for family in families:
        if key in family.claims:
            return family
    own = tuple(f"{study}/{name}" for name in dict.fromkeys([*served, claim]))
    return Family(study, own, is_declared=False)


def read_families(analyses: Path | None) -> tuple[Family, ...]:
    """Return the families that a project declares; none without a file.

    Args:
        analyses: Folder of the project's claims; None without a project.

    Raises:
        ProjectError: If the file is wrong.
    """
    path = analyses / FAMILY_FILE if analyses else None
    if path is None or not path.is_file():
        return ()
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ProjectError(f"{path} must be TOML 1.0 in UTF-8, but is not: {error}") from error
    tables = values.get("family", [])
    if set(values) - {"family"} or not isinstance(tables, list):
        raise ProjectError(f"{path} must hold tables [[family]] alone, but got {sorted(values)}.")
    families = tuple(read_family(table, path) for table in tables)
    check_once([family.name for family in families], "a name of its own for each family", path)
    check_once(
        [claim for family in families for claim in family.claims],
        "each claim of a study in one family alone",
        path,
    )
    return families


def read_family(table: object, path: Path) -> Family:
    """Return the family that a table declares.

    Raises:
        ProjectError: If the table is wrong.
    """
    if not isinstance(table, dict) or set(table) - set(KEYS):
        raise ProjectError(f"[[family]] of {path} must have {', '.join(KEYS)}, but got {table!r}.")
    name, claims, level = table.get("name"), table.get("claims"), table.get("level", ALPHA)
    if not isinstance(name, str) or not name:
        raise ProjectError(f"name of a [[family]] of {path} must be a text, but got {name!r}.")
    where = f"of the family {name!r} of {path}"
    if not isinstance(claims, list) or not claims or not all(map(is_member, claims)):
        raise ProjectError(
            f'claims {where} must be a list such as ["study/claim"], but got {claims!r}.'
        )
    if not isinstance(level, float) or not 0.0 < level <= ALPHA:
        raise ProjectError(
            f"level {where} must be above 0 and at most {ALPHA:g}, which the rule of each claim "
            f"decides at, but got {level!r}."
        )
    return Family(name, tuple(claims), level)


def is_member(value: object) -> bool:
    """Return whether a value is `study/claim`."""
    words = value.split("/") if isinstance(value, str) else []
    return len(words) == 2 and all(words)


def check_once(values: Sequence[str], what: str, path: Path) -> None:
    """Raise if a value is there twice.

    Raises:
        ProjectError: If one is.
    """
    again = next((value for value in values if values.count(value) > 1), None)
    if again is not None:
        raise ProjectError(f"{path} must have {what}, but {again!r} is there twice.")
