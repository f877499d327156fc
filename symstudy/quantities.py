"""How quantities are said to a person, and read from one; which of them are exact."""

import re

__all__ = ["LARGEST_EXACT", "duration", "read_duration", "size"]

LARGEST_EXACT = 2**53
"""Whole numbers up to this in size are the same as floats of 64 bits, and in JavaScript."""

UNITS = {"s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}


def duration(seconds: float) -> str:
    """Return seconds as a person would say them."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    if seconds < 48 * 3600:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 86400:.1f} days"


def size(num_bytes: float) -> str:
    """Return a number of bytes as a person would say it."""
    for unit in ("B", "KiB", "MiB"):
        if num_bytes < 1024:
            return f"{num_bytes:.0f} {unit}"
        num_bytes /= 1024
    return f"{num_bytes:.1f} GiB"


def read_duration(text: str) -> float:
    """Return the seconds of a duration such as `90s`, `30min`, `2h`, `1.5d` or `1h30m`.

    Raises:
        ValueError: If it is none, or not above 0.
    """
    part = r"(\d+(?:\.\d+)?)\s*(s|min|m|h|d)"
    if re.fullmatch(rf"(?:{part}\s*)+", text.strip()):
        seconds = sum(float(number) * UNITS[unit] for number, unit in re.findall(part, text))
        if seconds > 0:
            return seconds
    raise ValueError(
        f"must be a duration above 0 such as 90s, 30min, 2h, 1.5d or 1h30m, but got {text!r}"
    )
