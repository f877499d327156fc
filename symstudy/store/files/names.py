"""Names that files give for other files: checked before a path is made of them."""

import re

from symstudy.errors import StoreError

__all__ = ["is_folder_name", "is_plain_name", "require_inside"]

PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")


def is_plain_name(value: object) -> bool:
    """Return whether `value` can be a file's name and nothing else: no folder, no `..`, no link.

    Args:
        value: What a file says; of any type.
    """
    return isinstance(value, str) and PLAIN.fullmatch(value) is not None


def is_folder_name(value: object) -> bool:
    """Return whether `value` can be the name of a folder, in any script, and nothing else.

    Args:
        value: What a file says; of any type.
    """
    return (
        isinstance(value, str)
        and 0 < len(value) < 256
        and value not in {".", ".."}
        and not {"/", "\\"} & set(value)
        and value.isprintable()
    )


def require_inside(folder: str, *parts: str) -> None:
    """Raise if a path made of `parts` could leave `folder`.

    Args:
        folder: Path of the study's results.
        parts: Names below it; each may hold several, joined by slashes.

    Raises:
        StoreError: If one of the names leads upwards, or holds a null byte.
    """
    names = [name for part in parts for name in part.split("/")]
    if ".." in names or any("\0" in name for name in names):
        raise StoreError(
            f"files of a study must be inside its folder {folder!r}, but got the path "
            f"{'/'.join(parts)!r}. It was not written by symstudy: look at who may write there."
        )
