"""Faults R4 and R9: text and settings of others in figures."""

import matplotlib as mpl
import pandas as pd

from symstudy.plots.figures import Figure, figure_files, theme
from symstudy.plots.panels import Line, Panel, draw_panels


def test_r9_a_dollar_in_a_name_is_a_dollar_and_begins_no_formula():
    points = pd.DataFrame([{"place": 1.0, "median": 1.0, "low": 0.5, "high": 2.0, "seeds": 3}])
    hostile = r"$\frac$ \x1b"
    line = Line(hostile, {"optimizer": "=cmd()", "-x": -1.5}, points)
    with theme():
        figure = draw_panels([Panel(hostile, hostile, "width", hostile, hostile, [line])], "")
        files = figure_files(figure, {})
    assert files["svg"].decode().count(r"$\frac$") >= 4
    table = files["csv"].decode()
    assert "'=cmd(),-1.5" in table
    assert "'-x" in table


def test_r9_numbers_of_a_figure_keep_their_digits():
    drawn = pd.DataFrame({"effect": [-1.25, 2.0], "count": [-3, 4], "text": ["-1", None]})
    with theme():
        import matplotlib.pyplot as plt

        canvas = plt.figure()
        table = figure_files(Figure(canvas, drawn, ""), {})["csv"].decode()
        plt.close(canvas)
    assert table == "effect,count,text\n-1.25,-3,-1\n2,4,\n"


def test_r4_settings_that_matplotlib_found_do_not_count(monkeypatch):
    monkeypatch.setitem(mpl.rcParams, "figure.hooks", ["hooked:main"])
    monkeypatch.setitem(mpl.rcParams, "text.usetex", True)
    with theme():
        assert not mpl.rcParams["figure.hooks"]
        assert not mpl.rcParams["text.usetex"]
