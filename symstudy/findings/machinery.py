"""The code that decides whatever the rule: how evidence is read, and parts become a verdict.

It is in the hash of every rule: what the views of the store select, which of a run's rows counts,
how parts are combined, what their p-value is, and how verdicts stand in their family.
"""

import inspect
import re
from functools import cache
from importlib import resources
from pathlib import Path
from types import ModuleType

from symstudy.findings import conclude, finding, standing
from symstudy.findings.deciding import Reader, deciding_code, read_text
from symstudy.findings.rules import base
from symstudy.statistics import families, part
from symstudy.store.tables import keys, view_statements

__all__ = ["machinery", "machinery_code"]

DECIDING: tuple[tuple[ModuleType, tuple[str, ...]], ...] = (
    (base, ("read_data",)),
    (conclude, ("conclude",)),
    (part, ("combine", "refutation_p")),
    (finding, ("Finding",)),
    (families, ("correct_family", "hold_parts")),
    (standing, ("stand", "hold")),
    (view_statements, ("view_statements",)),
    (keys, ("KEYS", "Once", "find_once")),
)
"""Modules and their names that decide under every rule."""
VIEWS = "symstudy.store.tables"


@cache
def machinery() -> str:
    """Return the code that decides under every rule."""
    return machinery_code(read_text)


def machinery_code(read: Reader) -> str:
    """Return the code that decides under every rule.

    Args:
        read: From the path of a module to its text.
    """
    code = []
    for module, names in DECIDING:
        path = Path(inspect.getfile(module))
        code.append(deciding_code(read(path), path, names, read))
    return "\n".join((*code, *views()))


def views() -> list[str]:
    """Return the SQL of the store's views, without comments."""
    folder = resources.files(VIEWS) / "views"
    files = sorted((each for each in folder.iterdir()), key=lambda each: each.name)
    return [
        f"{each.name}={plain_sql(each.read_text(encoding='utf-8'))}"
        for each in files
        if each.name.endswith(".sql")
    ]


def plain_sql(text: str) -> str:
    """Return SQL without comments and line breaks."""
    return " ".join(re.sub(r"--[^\n]*", "", text).split())
