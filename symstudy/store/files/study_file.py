"""The content of `study.json`: its checksum, and what it must hold to be used.

Readers take its values without looking again.
"""

import json
from collections.abc import Mapping
from typing import Any

from symstudy.identity import canonical_json, digest
from symstudy.store.files.names import is_folder_name

__all__ = ["is_study", "parse_study", "with_checksum"]

TEXTS = ("title", "description", "source", "kind", "replicates")
LISTS = {"claims": str, "swept": str, "launches": dict}


def is_study(values: dict[str, Any]) -> bool:
    """Return whether the values of `study.json` are of their types, as far as they are there.

    Args:
        values: A JSON object.
    """
    if not all(isinstance(values.get(key, ""), str) for key in TEXTS):
        return False
    # Folders are called so, such as those of trackers.
    if values.get("name") and not is_folder_name(values["name"]):
        return False
    for key, kind in LISTS.items():
        found = values.get(key, [])
        if not isinstance(found, list) or not all(isinstance(item, kind) for item in found):
            return False
    rules = values.get("rules", {})
    return (
        isinstance(rules, dict)
        and all(isinstance(rule, str) for rule in rules.values())
        and isinstance(values.get("frozen", {}), dict)
        and isinstance(values.get("pairs"), dict | None)
        and isinstance(values.get("preset"), str | None)
        and type(values.get("schema_version", 1)) is int
    )


def with_checksum(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of `study.json` with a checksum of them."""
    plain = {key: value for key, value in values.items() if key != "checksum"}
    return {**plain, "checksum": digest(canonical_json(plain))}


def parse_study(content: bytes) -> dict[str, Any] | None:
    """Return the values of `study.json`; None if it is no JSON object, damaged or of wrong types.

    A file without a checksum is of a version that wrote none.
    """
    try:
        values = json.loads(content)
    except (ValueError, RecursionError):
        return None
    if not isinstance(values, dict):
        return None
    checksum = values.pop("checksum", None)
    if checksum is not None and checksum != digest(canonical_json(values)):
        return None
    return values if is_study(values) else None
