"""Files of a figure: pictures with their text embedded, the table drawn, a note of its origin."""

import base64
import functools
import importlib.metadata
import io
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from symstudy.errors import UserError, unknown_name
from symstudy.escaping import csv_text
from symstudy.plots.page import page
from symstudy.plots.style import theme

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

    from symstudy.plots.figures import Figure

__all__ = ["FORMATS", "embed_fonts", "figure_files", "parse_formats", "picture"]

FORMATS = ("svg", "pdf", "png")
METADATA: Mapping[str, dict[str, Any]] = {
    # No dates: the same data give the same bytes.
    "svg": {"Date": None},
    "pdf": {"CreationDate": None, "ModDate": None},
    "png": {},
}
TEXT = re.compile(r"<text\b[^>]*>(.*?)</text>", re.DOTALL)
TAG = re.compile(r"<[^>]*>")
STYLED = re.compile(r'style="([^"]*font[^"]*)"')
FAMILY = re.compile(r"'([^']+)'")
STYLE_TAG = '<style type="text/css">'


def parse_formats(text: str | None, output: Path | None = None) -> tuple[str, ...]:
    """Return the formats of pictures: those asked for, that of the file's ending, or SVG.

    Raises:
        UserError: If there is no such format, or the file's ending is not among them.
    """
    ending = output.suffix.lower().removeprefix(".") if output is not None else ""
    if output is not None and ending not in FORMATS:
        raise UserError(
            f"--output must end in .{', .'.join(FORMATS)}, but got {str(output)!r}. Type --output "
            f"{output.with_suffix('.pdf')}."
        )
    if text is None:
        return (ending or "svg",)
    formats = tuple(dict.fromkeys(name.strip().lower() for name in text.split(",")))
    for name in formats:
        if name not in FORMATS:
            raise unknown_name("--format", name, FORMATS)
    return tuple(dict.fromkeys([*([ending] if ending else []), *formats]))


def figure_files(
    figure: "Figure", note: Mapping[str, Any], formats: Sequence[str] = ("svg",)
) -> dict[str, bytes]:
    """Return the files of a figure by suffix: pictures, `csv`, and `json` with caption and `note`.

    Args:
        figure: The figure.
        note: Where it came from; the version of symstudy is added.
        formats: Formats of pictures.
    """
    plain = figure.drawn.rename(columns=lambda name: csv_text(str(name))).map(
        lambda value: csv_text(value) if isinstance(value, str) else value
    )
    table = plain.to_csv(index=False, float_format="%.8g").encode()
    about = {"caption": figure.caption, **note, "version": importlib.metadata.version("symstudy")}
    pictures = {name: picture(figure.canvas, name) for name in formats}
    return {**pictures, "csv": table, "json": (json.dumps(about, indent=2) + "\n").encode()}


def picture(canvas: "Canvas", form: str) -> bytes:
    """Return a figure in a format, as wide as it was drawn."""
    sink = io.BytesIO()
    # Text is embedded and bytes repeat, whatever the settings are where a figure is saved.
    with theme(page().width_mm):
        canvas.savefig(sink, format=form, metadata=METADATA[form])
    content = sink.getvalue()
    return embed_fonts(content.decode()).encode() if form == "svg" else content


def embed_fonts(svg: str) -> str:
    """Return an SVG that brings the letters of its text along, so that it looks alike everywhere.

    Text stays text, which can be searched, copied and read aloud.
    """
    letters = "".join(TAG.sub("", text) for text in TEXT.findall(svg))
    wanted = {"&amp;": "&", "&lt;": "<", "&gt;": ">"}
    for name, letter in wanted.items():
        letters = letters.replace(name, letter)
    faces = []
    for family, italic, bold in sorted(fonts_in(svg)):
        content = subset(family, letters, is_italic=italic, is_bold=bold)
        if content:
            faces.append(
                f"@font-face{{font-family:'{family}';font-style:{'italic' if italic else 'normal'};"
                f"font-weight:{'bold' if bold else 'normal'};"
                f"src:url(data:font/woff;base64,{base64.b64encode(content).decode()})}}"
            )
    return svg.replace(STYLE_TAG, STYLE_TAG + "".join(faces), 1)


def fonts_in(svg: str) -> set[tuple[str, bool, bool]]:
    """Return the first family of each font of the text of an SVG, and if it is italic and bold."""
    return {
        (
            families[0],
            "italic" in style or "oblique" in style,
            "bold" in style or "weight: 700" in style,
        )
        for style in set(STYLED.findall(svg))
        if (families := FAMILY.findall(style))
    }


def subset(family: str, letters: str, *, is_italic: bool, is_bold: bool) -> bytes:
    """Return the letters of a font that matplotlib has, compressed; empty if there is none."""
    from matplotlib.font_manager import FontProperties, findfont

    wanted = FontProperties(
        family=[family],
        style="oblique" if is_italic else "normal",
        weight="bold" if is_bold else "normal",
    )
    try:
        path = findfont(wanted, fallback_to_default=False)
    except ValueError:
        return b""
    TAKEN[path] += 1
    # A process that draws one figure need not wait for letters that it does not draw.
    if TAKEN[path] > 1 and COMMON.issuperset(letters):
        return letters_of(io.BytesIO(common_letters(path)), letters, "woff")
    return letters_of(path, letters, "woff")


COMMON = frozenset(
    chr(code) for first, last in ((0x20, 0x7E), (0xA0, 0x17F), (0x370, 0x3CF), (0x2010, 0x22FF))
    for code in range(first, last + 1)
)  # fmt: skip
"""Letters that figures are written in: Latin, Greek, and signs of mathematics."""
TAKEN: Counter[str] = Counter()
"""How often letters have been taken from each file of a font."""


@functools.cache
def common_letters(path: str) -> bytes:
    """Return a font with the letters of `COMMON` alone, from which fewer are taken sooner.

    The letters that are taken from it are byte for byte those that are taken from the whole font,
    of whose six thousand the pairs that stand closer (kerning) take a tenth of a second to read.
    """
    return letters_of(path, "".join(COMMON), None)


def letters_of(font: str | io.BytesIO, letters: str, flavor: str | None) -> bytes:
    """Return some letters of a font.

    Args:
        font: Its file, or the content of one.
        letters: The letters.
        flavor: Compression, such as `woff`; none if None.
    """
    from fontTools.subset import Options, Subsetter
    from fontTools.ttLib import TTFont

    options = Options(hinting=False, layout_features=["kern"], name_IDs=[], notdef_outline=True)
    options.drop_tables += ["FFTM"]
    whole = TTFont(font, recalcTimestamp=False)
    subsetter = Subsetter(options)
    subsetter.populate(text=letters)
    subsetter.subset(whole)
    whole.flavor = flavor
    sink = io.BytesIO()
    whole.save(sink)
    return sink.getvalue()
