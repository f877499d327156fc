"""What `study.json` must hold to be used: readers take its values without looking again."""

from typing import Any

from symstudy.store.files.names import is_folder_name

__all__ = ["is_study"]

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
        and isinstance(values.get("preset"), str | None)
        and type(values.get("schema_version", 1)) is int
    )
