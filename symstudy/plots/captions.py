"""What is said below a figure: what points are, what they are means of, and what is left out."""

from collections.abc import Sequence
from typing import NamedTuple

from symstudy.escaping import figure_text
from symstudy.plots.left_out import LeftOut
from symstudy.plots.points import Points

__all__ = ["Sentences", "data_sentences", "left_out_sentence", "runs_words"]


class Sentences(NamedTuple):
    """What is said of a figure.

    Attributes:
        short: Sentences below it.
        caption: The same for a reader of its note, as plain text.
    """

    short: tuple[str, ...]
    caption: str


def data_sentences(
    points: Points, more: Sequence[str], *, what: str, has_intervals: bool = True
) -> Sentences:
    """Return what is said of a figure of means over seeds.

    Args:
        points: What is shown.
        more: Further sentences, some of them empty.
        what: What is shown, such as `test_loss against width`.
        has_intervals: Whether the figure shows the intervals of means.
    """
    selection = points.selection
    seeds = points.frame["seeds"]
    least, most = int(seeds.min()), int(seeds.max())
    count = str(least) if least == most else f"{least} to {most}"
    means = f"Means of {count} seeds{' with 95 % t intervals' if has_intervals else ''}."
    if most == 1:
        means = "One seed a point, so no intervals."
    last = f" of the last step of {selection.view}" if selection.is_last_step else ""
    told = [
        means,
        f"Values{last}." if last else "",
        f"Averaged over {', '.join(selection.average)} too." if selection.average else "",
        f"Where {selection.where}." if selection.where else "",
        left_out_sentence(points.left_out),
    ]
    plain = [figure_text(sentence) for sentence in told if sentence]
    extra = [sentence for sentence in more if sentence]
    caption = " ".join([f"{what}.", *(s for s in told if s), *extra])
    return Sentences((*plain, *extra), caption[:1].upper() + caption[1:])


def left_out_sentence(left_out: LeftOut) -> str:
    """Return what a figure leaves out; that nothing is left out, too."""
    if not left_out.words:
        return "No planned run is left out."
    return f"Left out: {left_out.words}."


def runs_words(count: int) -> str:
    """Return a number of runs in words."""
    return f"{count:,} run{'' if count == 1 else 's'}"
