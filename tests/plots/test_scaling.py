"""The scaling figure: what is drawn, said and fitted."""

import json
from collections import Counter

import pytest

from symstudy.errors import UserError
from symstudy.plots import saving


def words_in(plot):
    """Return all that a figure says."""
    figure = plot.figure
    texts = [t.get_text() for t in figure.findobj(lambda artist: hasattr(artist, "get_text"))]
    return " ".join(texts).replace("\n", " ").replace("\N{NO-BREAK SPACE}", " ")


def test_the_planted_exponent_is_found_for_each_line_with_its_interval(planted):
    plot = planted().plot.scaling(x="width", y="test_loss", by="gamma")
    assert [law.group for law in plot.laws] == [{"gamma": 0.0}, {"gamma": 0.001}, {"gamma": 0.1}]
    for law in plot.laws:
        interval = law.fitted.intervals["exponent"]
        assert interval.low < -0.5 < interval.high
        assert law.fitted.held_out == (64.0,)
        assert abs(law.fitted.errors[0]) < 0.1
    assert "-0.5".replace("-", "\N{MINUS SIGN}") in words_in(plot)
    assert "Best by BIC" in words_in(plot)


def test_axes_are_logarithmic_and_every_mean_is_drawn_and_in_the_table(planted):
    plot = planted().plot.scaling(x="width", y="test_loss", by="gamma")
    main, residuals = plot.figure.axes
    assert (main.get_xscale(), main.get_yscale(), residuals.get_yscale()) == (
        "log",
        "log",
        "linear",
    )
    means = plot.drawn[plot.drawn["panel"] == "test_loss"]
    assert len(means) == 12
    assert {"width", "gamma", "mean", "low", "high", "seeds", "runs"} <= set(means.columns)
    assert len(plot.drawn[plot.drawn["panel"] == "residuals"]) == 12


def test_a_law_through_two_places_is_off_by_nothing_and_not_by_rounding(planted):
    plot = planted().plot.scaling(x="width", y="test_loss", by="gamma", where="width in (8, 16)")
    off = plot.drawn.loc[plot.drawn["panel"] == "residuals", "percent"]
    assert len(off) == 6
    assert (off == 0.0).all()
    assert plot.figure.axes[1].yaxis.get_offset_text().get_text() == ""


def test_a_decay_of_0_has_a_place_on_a_logarithmic_axis(planted):
    plot = planted().plot.scaling(x="gamma", y="test_loss", by="width", fit="none")
    (axis,) = plot.figure.axes
    labels = [label.get_text() for label in axis.get_xticklabels()]
    assert labels == ["0", "0.001", "0.1"]
    assert axis.get_xscale() == "log"
    places = axis.lines[0].get_xdata()
    assert 0 < places[0] < places[1] == 0.001
    assert plot.drawn["gamma"].min() == 0


def test_a_fit_says_that_places_at_0_are_not_in_it(planted):
    axes = {"train.gamma": [0.0, 0.001, 0.01, 0.1]}
    plot = planted(**axes).plot.scaling(x="gamma", y="test_loss", by="width", hold_out=0)
    assert {law.reason for law in plot.laws} == {"1 place at 0 or below not in the fit"}


def test_a_fit_says_what_it_could_not_hold_out_and_what_it_could_not_miss(planted):
    plot = planted().plot.scaling(x="width", y="test_loss", where="gamma = 0", hold_out=2)
    places = plot.laws[0].fitted.places
    (reason,) = {law.reason for law in plot.laws}
    assert f"none held out: {places - 2} would be left" in reason
    assert "predicted from 3 or more" in reason
    plot = planted().plot.scaling(
        x="width", y="test_loss", where="gamma = 0 and width in (8, 16)", hold_out=0
    )
    (reason,) = {law.reason for law in plot.laws}
    assert reason == "power has as many parameters as there are places, and goes through any 2"


def test_one_seed_has_no_intervals_and_says_so(planted):
    plot = planted(seed=1).plot.scaling(x="width", y="test_loss", by="gamma")
    assert plot.drawn["low"].isna().all()
    assert "One seed a point, so no intervals." in words_in(plot)
    assert plot.laws[0].fitted.source == "residuals"


def test_one_place_has_no_law_and_the_reason_is_on_the_figure(planted):
    plot = planted(**{"model.width": [8]}).plot.scaling(x="width", y="test_loss", by="gamma")
    assert plot.laws[0].fit is None
    assert "no law: 1 positive places, and power needs 2" in words_in(plot)
    with pytest.raises(UserError, match="needs 2"):
        _ = plot.laws[0].exponent


def test_values_that_are_not_positive_have_a_linear_axis_and_it_is_said(planted):
    store = planted(lambda run: {"test_loss": float(run.cell.model.width - 32)})
    plot = store.plot.scaling(x="width", y="test_loss", by="gamma")
    assert plot.figure.axes[0].get_yscale() == "linear"
    assert "test loss is not positive everywhere, so its axis is linear." in words_in(plot)
    assert "the mean is not positive at 8" in plot.laws[0].reason


def test_an_axis_of_texts_is_of_categories_and_has_no_law(planted):
    store = planted(**{"train.optimizer": ["sgd", "adam"], "train.lr": [0.01]})
    words = {"x": "optimizer", "y": "test_loss", "by": ("width", "gamma")}
    plot = store.plot.scaling(**words)
    labels = [label.get_text() for label in plot.figure.axes[0].get_xticklabels()]
    assert labels == ["adam", "sgd"]
    assert plot.laws == ()
    with pytest.raises(UserError, match="--fit none"):
        store.plot.scaling(**words, fit="power")


def test_one_value_of_the_first_column_has_one_colour(planted):
    store = planted(**{"train.optimizer": ["sgd", "adam"]})
    plot = store.plot.scaling(x="width", y="test_loss", by=("gamma", "optimizer"), fit="none")
    bars = plot.figure.axes[0].containers
    assert len({bar[0].get_color() for bar in bars}) == 3
    assert len({bar[0].get_marker() for bar in bars}) == 2


def test_a_figure_is_as_wide_as_asked_for_with_text_of_6_points(planted):
    plot = planted().plot.scaling(x="width", y="test_loss", by="gamma", width="89mm")
    assert plot.figure.get_size_inches()[0] == pytest.approx(89 / 25.4)
    texts = plot.figure.findobj(lambda artist: hasattr(artist, "get_fontsize"))
    assert min(text.get_fontsize() for text in texts if text.get_text()) >= 6
    with pytest.raises(UserError, match="--width 89mm"):
        planted().plot.scaling(x="width", y="test_loss", by="gamma", width="89 bananas")


def test_files_are_the_pictures_the_table_and_their_origin(planted, tmp_path):
    store = planted()
    plot = store.plot.scaling(x="width", y="test_loss", by="gamma")
    made = plot.save(tmp_path / "new" / "loss.pdf")
    assert [path.name for path in made] == ["loss.pdf", "loss.csv", "loss.json"]
    assert made[0].read_bytes().startswith(b"%PDF")
    note = json.loads(made[2].read_text())
    assert note["fingerprint"] == store.fingerprint
    assert note["queries"][0].startswith("with chosen")
    assert {"kind", "options", "version", "caption"} <= set(note)


@pytest.mark.parametrize("is_bold", [False, True])
def test_letters_taken_again_are_those_taken_first(monkeypatch, is_bold):
    monkeypatch.setattr(saving, "TAKEN", Counter())
    letters = "Test loss, AV To: \N{GREEK SMALL LETTER GAMMA} 10\N{MINUS SIGN}3"
    first, *more = (
        saving.subset("DejaVu Sans", letters, is_italic=False, is_bold=is_bold) for _ in range(3)
    )
    assert first
    assert more == [first, first]
    rare = "\N{BLACK CHESS KING}"
    assert saving.subset("DejaVu Sans", rare, is_italic=False, is_bold=is_bold) != first


def test_the_letters_of_an_svg_come_with_it(planted):
    svg = planted().plot.scaling(x="width", y="test_loss", by="gamma").files()["svg"].decode()
    assert "font-family:'DejaVu Sans';font-style:normal" in svg
    assert "font-family:'DejaVu Sans';font-style:italic" in svg
    assert "data:font/woff;base64," in svg
    assert ">width<" in svg
