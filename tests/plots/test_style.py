"""One style for all figures: mathematics set, panels lettered, one colour one meaning."""

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from symstudy.plots.figures import PALETTE, theme
from symstudy.plots.labels import number_label, typeset
from symstudy.plots.page import letter_panels, panel_axes, parse_width, wrap
from symstudy.plots.panels import Line, Panel, draw_panels
from symstudy.plots.saving import parse_formats
from symstudy.plots.scales import draw_scale, label_log_axis, scale_of


@pytest.mark.parametrize(
    ("plain", "drawn"),
    [
        (
            "critical gamma_c at gamma = 1e-05",
            r"critical $\gamma_{\mathrm{c}}$ at $\gamma$ = $10^{-5}$",
        ),
        ("rank as k^-a, +-0.1", "rank as $k^{-a}$, \N{PLUS-MINUS SIGN}0.1"),
        ("mode s_1 <= 2", "mode $s_{1}$ \N{LESS-THAN OR EQUAL TO} 2"),
        ("lr_over_batch and test_loss", "lr_over_batch and test_loss"),
        (r"5 $ and \frac", r"5 \$ and \frac"),
    ],
)
def test_plain_mathematics_is_set_and_text_of_others_is_not(plain, drawn):
    assert typeset(plain) == drawn


def test_what_is_set_can_be_drawn():
    with theme():
        canvas, (axis,) = panel_axes(1)
        axis.set_title(typeset("gamma_c 2e-3 |W|^2 k^(-a/2) sigma^2 s_1 $ {x} ^ _"))
        canvas.draw_without_rendering()


def test_numbers_have_powers_of_ten():
    assert number_label(2.5e-7) == r"$2.5\times 10^{-7}$"
    assert number_label(-1.5) == "\N{MINUS SIGN}1.5"
    assert number_label(float("nan")) == "NaN"


def test_lines_break_at_spaces_and_never_within_mathematics():
    assert wrap(r"one $a = b$ two", 8) == "one\n$a = b$\ntwo"


def panels(settings):
    points = pd.DataFrame([{"place": 1.0, "median": 2.0, "low": 1.0, "high": 3.0, "seeds": 5}])
    return [
        Panel(str(k), "t", "width", "width", "loss", [Line(str(v), {name: v}, points)])
        for k, (name, v) in enumerate(settings)
    ]


def colors_of(settings):
    with theme():
        canvas = draw_panels(panels(settings), "").canvas
    return [axis.containers[0][0].get_color() for axis in canvas.axes]


def test_one_colour_means_one_setting_in_all_panels():
    first, second, third = colors_of([("gamma", 0.1), ("gamma", 0.1), ("width", 8)])
    assert first == second != third


def test_panels_of_a_figure_are_lettered_and_a_single_one_is_not():
    with theme():
        canvas, axes = panel_axes(4)
        canvas.colorbar(mpl.cm.ScalarMappable(), ax=axes[0])
        letter_panels(canvas)
        alone, (single,) = panel_axes(1)
        letter_panels(alone)
    letters = [axis.get_title(loc="left").split("{")[-1][0] for axis in axes]
    assert letters == list("abcd")
    assert single.get_title(loc="left") == ""


@pytest.mark.parametrize(("width", "columns"), [(None, 3), (89.0, 1), (180.0, 3), (120.0, 2)])
def test_as_many_panels_stand_side_by_side_as_the_page_has_room_for(width, columns):
    with theme(width):
        canvas, axes = panel_axes(3)
    place = axes[0].get_subplotspec()
    assert place is not None
    assert place.get_gridspec().ncols == columns
    assert width is None or canvas.get_size_inches()[0] == pytest.approx(width / 25.4)


def test_text_is_legible_and_embedded_at_every_width():
    with theme(89):
        sizes = [mpl.rcParams[key] for key in ("font.size", "legend.fontsize", "axes.labelsize")]
        assert min(sizes) >= 6
        assert mpl.rcParams["pdf.fonttype"] == 42


def test_the_style_file_has_the_palette():
    with theme():
        cycle = [color.lstrip("#") for color in mpl.rcParams["axes.prop_cycle"].by_key()["color"]]
    assert cycle == [color.lstrip("#") for color in PALETTE]


def test_widths_and_formats_are_read():
    assert parse_width("8.9cm") == parse_width("89mm") == 89
    assert parse_width("3.5in") == pytest.approx(88.9)
    assert parse_formats("pdf,svg") == ("pdf", "svg")
    with pytest.raises(LookupError, match="Did you mean 'pdf'"):
        parse_formats("pdff")


@pytest.mark.parametrize(
    ("least", "most", "labels"),
    [
        (1.0, 3360.0, ["1", "10", "100", "1000"]),
        (2e-3, 5.0, ["0.01", "0.1", "1"]),
        (1.5e-3, 0.2, ["0.01", "0.1"]),
        (1.0, 2e5, ["$10^{0}$", "$10^{1}$", "$10^{2}$", "$10^{3}$", "$10^{4}$", "$10^{5}$"]),
    ],
)
def test_powers_of_ten_of_one_axis_are_all_written_alike(least, most, labels):
    axes = Figure().add_subplot()
    axes.set_xscale("log")
    axes.set_xlim(least, most)
    label_log_axis(axes.xaxis, least, most)
    tell = axes.xaxis.get_major_formatter()
    places = [place for place in axes.xaxis.get_majorticklocs() if least <= place <= most]
    assert [tell(place, None) for place in places] == labels


def test_powers_of_ten_beside_a_place_for_0_are_all_written_alike():
    with theme():
        axes = Figure().add_subplot()
        steps = [0.0, *np.geomspace(1.0, 1e5, 30)]
        draw_scale(axes, scale_of(pd.Series(steps), "step"))
        texts = [label.get_text() for label in axes.get_xticklabels()]
    assert texts == ["0", *(f"$10^{{{power}}}$" for power in range(6))]


def test_a_legend_of_many_lines_names_some_and_says_how_many_there_are():
    points = pd.DataFrame({"place": [1.0, 2.0], "median": [1.0, 2.0], "low": 0.5, "high": 2.5})
    panels = [
        Panel(
            name=name, title=name, x="width", x_label="width", y_label=name,
            lines=[Line(f"{name} {k}", {"kind": f"{name} {k}"}, points) for k in range(count)],
        )
        for name, count in (("few", 3), ("many", 20))
    ]  # fmt: skip
    with theme():
        canvas = draw_panels(panels, "A caption.").canvas
    legends = [axes.get_legend() for axes in canvas.axes]
    few, many = ([text.get_text() for text in each.get_texts()] for each in legends if each)
    assert few == ["few 0", "few 1", "few 2"]
    assert many[0] == "many 0"
    assert many[-2:] == ["many 19", "20 lines, all in the CSV"]
    assert len(many) == 9
