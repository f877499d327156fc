"""Where each key of a TOML file stands, so that a mistake can be shown with its line.

`tomllib` gives values without positions. This index follows the grammar as far as positions need
it: table headers, keys before `=`, and strings, arrays and inline tables that span lines.
"""

import re

__all__ = ["index_keys"]

HEADER = re.compile(r"\s*\[\[?(?P<name>[^\[\]]+)\]\]?\s*(#.*)?$")
ASSIGNMENT = re.compile(
    r"""\s*(?P<key>(?:[\w-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[\w-]+|"[^"]*"|'[^']*'))*)\s*="""
)
PART = re.compile(r"""[\w-]+|"[^"]*"|'[^']*'""")


def index_keys(text: str) -> dict[str, int]:
    r"""Return the 1-based line of every key of the TOML document `text`, by its dotted name.

    A quoted part keeps its dots: `"model.width"` in `[sweep]` is `sweep.model.width`.

    Examples:
        >>> index_keys('name = "x"\n[train]\nlr = 0.1\n')
        {'name': 1, 'train': 2, 'train.lr': 3}
    """
    lines: dict[str, int] = {}
    table: list[str] = []
    pending = ""
    for number, line in enumerate(text.splitlines(), start=1):
        if pending:
            pending = unfinished(pending + "\n" + line)
            continue
        header = HEADER.match(line)
        if header:
            table = parts(header["name"])
            lines.setdefault(".".join(table), number)
            continue
        assignment = ASSIGNMENT.match(line)
        if assignment:
            key = [*table, *parts(assignment["key"])]
            lines.setdefault(".".join(key), number)
            pending = unfinished(line[assignment.end() :])
    return lines


def parts(name: str) -> list[str]:
    """Return the parts of a dotted key, without quotes."""
    return [part.strip("\"'") for part in PART.findall(name)]


def unfinished(value: str) -> str:
    """Return `value` if it goes on in the next line, else an empty string."""
    depth = 0
    at = 0
    while at < len(value):
        if value[at] in "\"'":
            mark = value[at] * 3 if value.startswith(value[at] * 3, at) else value[at]
            end = value.find(mark, at + len(mark))
            while end > 0 and mark[0] == '"' and value[end - 1] == "\\":
                end = value.find(mark, end + 1)
            if end < 0:
                return value if len(mark) == 3 else ""
            at = end + len(mark)
            continue
        if value[at] == "#":
            end = value.find("\n", at)
            if end < 0:
                break
            at = end
        depth += (value[at] in "[{") - (value[at] in "]}")
        at += 1
    return value if depth > 0 else ""
