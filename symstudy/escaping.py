"""Text of others where it is shown: on a terminal, in a page, in a figure, in a spreadsheet.

Names, titles, reasons and tracebacks come from study files and results, which may be somebody
else's. Shown as they are, they could move the cursor, hide or reorder lines, or be run as formulas.
"""

import re
import unicodedata

__all__ = ["csv_text", "figure_text", "printable", "printable_line"]

HIDDEN = frozenset(("Cc", "Cf", "Cs", "Zl", "Zp"))
"""Unicode's categories of control characters, of invisible ones (which reorder text, among others),
of halves of characters, and of ends of lines and paragraphs."""
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a text begins with that spreadsheets take for a formula."""
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?(inf|nan)", re.IGNORECASE)


def printable(text: str) -> str:
    r"""Return `text` with characters that would not be seen as escapes such as `\x1b`.

    Ends of lines and tabs stay.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(character if is_seen(character) else escape(character) for character in text)


def printable_line(text: str) -> str:
    r"""Return `text` as `printable` does, on one line: its ends of lines are shown as `\n`."""
    return printable(text).replace("\n", "\\n").replace("\t", "\\t")


def is_seen(character: str) -> bool:
    """Return whether a character may be shown as it is."""
    return character in "\n\t" or unicodedata.category(character) not in HIDDEN


def escape(character: str) -> str:
    r"""Return a character as Python writes it, such as `\x1b` or `\u202e`."""
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")


def csv_text(text: str) -> str:
    """Return `text` as a spreadsheet takes it for text: with `'` before what begins a formula.

    A text that is a number stays one.
    """
    if text.startswith(FORMULA) and not NUMBER.fullmatch(text):
        return f"'{text}"
    return text


def figure_text(text: str) -> str:
    """Return `text` as matplotlib draws it letter by letter: a dollar begins no formula."""
    return printable(text).replace("\\$", "$").replace("$", "\\$")
