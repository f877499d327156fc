"""At which scale the runs of a study were planned: its preset, and what was changed of it.

A verdict holds for the setting that was run, and a study is run at several: on a laptop, at the
paper's own. So each verdict names it.
"""

from collections.abc import Mapping
from typing import Any

__all__ = ["told_scale"]

SAME_SCALE = ("kind", "name", "seed", "title", "description", "pack", "pairs")
"""Keys, or tables of keys, that a command line may change at the same scale."""
LONGEST = 60
"""Characters of changed settings that a headline has room for."""


def told_scale(record: Mapping[str, Any]) -> str:
    """Return at which scale a study was run, such as `preset scale`.

    Args:
        record: The values of its `study.json`.

    Returns:
        Presets and changed settings of all launches that planned runs. Empty where a study has no
        preset and nothing was changed, and where a launch does not say what was: an older one.

    Examples:
        >>> told_scale({"launches": [{"preset": "scale", "overrides": ["seed=5"], "new_runs": 9}]})
        'preset scale'
        >>> changed = ["model.width=8", "train.lr=0.1"]
        >>> told_scale({"launches": [{"preset": "scale", "overrides": changed, "new_runs": 9}]})
        'preset scale with model.width=8 train.lr=0.1'
    """
    launches = [launch for launch in record.get("launches", []) if launch.get("new_runs")]
    if not all(isinstance(launch.get("overrides"), list) for launch in launches):
        return ""
    scales = list(dict.fromkeys(scale_of(launch) for launch in launches))
    return "" if scales == [""] else " and ".join(scale or "no preset" for scale in scales)


def scale_of(launch: Mapping[str, Any]) -> str:
    """Return the preset of a launch and what was changed of it; empty if neither."""
    preset = launch.get("preset")
    typed = [str(each) for each in launch["overrides"]]
    changed = [each for each in typed if not is_same_scale(each)]
    if not changed:
        return f"preset {preset}" if preset else ""
    told = " ".join(changed)
    if len(told) > LONGEST:
        told = f"{len(changed)} settings changed"
    return f"preset {preset} with {told}" if preset else f"no preset, with {told}"


def is_same_scale(override: str) -> bool:
    """Return whether a setting `key=value` leaves a run at its scale."""
    key = override.partition("=")[0].strip().replace('"', "").removeprefix("sweep.")
    return key.partition(".")[0] in (*SAME_SCALE, "seeds")
