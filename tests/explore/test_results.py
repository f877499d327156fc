"""What changes, vanishes or is hostile while the page is open."""

import hashlib
import io
import json
import shutil
import socket
import time

import pandas as pd
import pytest
from starlette.testclient import TestClient

from symstudy.errors import LaunchError, StoreError
from symstudy.explore.app import SHARE, STATIC, create_app
from symstudy.explore.live import read_state
from symstudy.explore.server import MissingServerError, open_port, serve
from symstudy.explore.session import Session
from symstudy.explore.view import RequestError
from tests.explore.conftest import HOSTILE, record_launch_of

ECHARTS = "b66b25aeb4df84e33199dc21694014d336d222cbd9deb0e5a7c14bd6aa0d0fd0"


def test_the_vendored_library_is_the_published_one():
    content = (STATIC / "vendor" / "echarts.min.js").read_bytes()
    assert hashlib.sha256(content).hexdigest() == ECHARTS


def test_rows_that_are_added_are_counted_and_inserted_alone(copied, monkeypatch):
    pack = copied / "planted" / "runs" / "pack0003.parquet"
    aside = copied.parent / "aside.parquet"
    shutil.move(pack, aside)
    session = Session([str(copied)])
    assert read_state(session)["accounts"][0]["missing"] == 6
    assert not session.refresh()
    shutil.move(aside, pack)
    monkeypatch.setattr(session.runs, "copy", lambda *_: pytest.fail("everything was read anew"))
    assert session.refresh()
    (account,) = read_state(session)["accounts"]
    assert (account["planned"], account["missing"], session.changes) == (18, 2, 1)


def test_a_study_that_vanishes_leaves_the_page_as_it_was_and_says_so(copied):
    session = Session([str(copied)])
    shutil.move(copied / "planted", copied / "gone")
    shutil.rmtree(copied / "gone")
    assert session.refresh()
    assert "holds none" in session.error
    assert session.panels({}, [{"panel": "table"}])[0]["more"]["total"] == 16
    assert "holds none" in read_state(session)["error"]
    assert not session.refresh()


def test_results_that_vanish_are_told_and_never_counted_as_none(copied):
    session = Session([str(copied)])
    session.box.timeout_s = 60.0
    count = ["select count(*) from runs"]
    assert session.sql(count)[0]["rows"] == [[16]]
    gone = copied.rename(copied.with_name("gone"))
    (told,) = session.sql(count)
    assert "has no study.json any more" in told["error"]
    (told,) = session.panels({}, [{"panel": "histogram", "column": "steps"}])
    assert "has no study.json any more" in told["error"]
    assert session.panels({}, [{"panel": "table"}])[0]["more"]["total"] == 16
    gone.rename(copied)
    assert session.sql(count)[0]["rows"] == [[16]]
    session.end()


def test_a_file_that_is_cut_short_is_named(copied):
    session = Session([str(copied)])
    pack = copied / "planted" / "runs" / "pack0000.parquet"
    pack.write_bytes(pack.read_bytes()[:-20])
    session.refresh()
    assert "pack0000.parquet" in session.error


def test_hostile_names_arrive_as_they_are_to_be_shown_as_text(client, panel):
    (study,) = client.get("/meta").json()["studies"]
    assert "<img src=x onerror=alert(1)>\x1b" in study["title"]


def test_curves_are_those_of_the_runs_that_were_chosen(client, panel):
    rows = panel("table", columns=["width"])["rows"]
    answer = client.post("/history", json={"runs": [rows[0][1]], "measure": "test_loss"})
    (curve,) = answer.json()["curves"]
    assert (curve["run_id"], len(curve["points"])) == (rows[0][1], 1)
    too_many = client.post("/history", json={"runs": ["a"] * 51, "measure": "test_loss"})
    assert (too_many.status_code, "1 to 50" in too_many.json()["error"]) == (400, True)
    unknown = client.post("/history", json={"runs": [rows[0][1]], "measure": "x"})
    assert "column of history" in unknown.json()["error"]


def test_a_panel_is_drawn_for_print_with_where_it_comes_from(client):
    want = {"panel": "lines", "x": "width", "by": "gamma", "measure": "test_loss"}
    files = client.post("/figure", json={"want": want, "link": "http://localhost/#x=width"}).json()
    assert files["svg"].startswith("<?xml")
    assert '"link": "http://localhost/#x=width"' in files["json"]
    refused = client.post("/figure", json={"want": {"panel": "table"}})
    assert (refused.status_code, "lines, grid, scatter" in refused.json()["error"]) == (400, True)


@pytest.mark.parametrize("name", ["lines", "grid"])
def test_what_is_drawn_for_print_is_what_the_panel_shows(client, panel, name):
    filters = {"seed": {"values": [0, 1, 2]}, "width": {"values": [8, 16]}}
    axes = {"lines": {"by": "gamma"}, "grid": {"y": "gamma"}}[name]
    want = {"panel": name, "x": "width", "measure": "test_loss", **axes}
    shown = panel(name, filters, **{key: value for key, value in want.items() if key != "panel"})
    files = client.post("/figure", json={"filters": filters, "want": want}).json()
    drawn = pd.read_csv(io.StringIO(files["csv"]))
    told = pd.DataFrame(shown["rows"], columns=shown["columns"])
    gammas = "line" if name == "lines" else "y"
    told = told.sort_values([gammas, "x"]).reset_index(drop=True)
    drawn = drawn.sort_values(["gamma", "width"]).reset_index(drop=True)
    assert len(told) == 4
    assert list(drawn["width"]) == list(told["x"])
    assert list(drawn["mean"]) == pytest.approx(list(told["mean"]))
    assert list(drawn["seeds"]) == list(told["seeds"])
    assert json.loads(files["json"])["kind"] == {"lines": "scaling", "grid": "heatmap"}[name]


def test_a_figure_for_print_says_what_it_is_averaged_over(client):
    want = {"panel": "lines", "x": "width", "measure": "test_loss"}
    files = client.post("/figure", json={"want": want}).json()
    assert "Averaged over gamma too" in json.loads(files["json"])["caption"]


def test_a_figure_for_print_says_what_a_logarithmic_axis_has_no_place_for(client, monkeypatch):
    monkeypatch.setattr("symstudy.explore.panels.scatter.MOST_POINTS", 3)
    monkeypatch.setattr("symstudy.explore.panels.histogram.LOG_RATIO", 0.01)
    want = {"panel": "scatter", "x": "gamma", "y": "test_loss"}
    sources = client.post("/figure", json={"filters": {"seed": {"values": [0]}}, "want": want})
    assert sources.status_code == 200, sources.text


def test_a_port_in_use_is_told_with_what_to_type():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(LaunchError, match=f"{port} is not: .*Leave --port out"):
            open_port(port)


def test_without_the_packages_of_the_server_the_line_to_type_is_told(planted, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "uvicorn", None)
    with pytest.raises(MissingServerError, match=r"pip install 'symstudy\[explore\]'"):
        serve([str(planted)], told=print, opens_browser=False)


def test_results_that_are_none_end_before_a_page_is_promised(tmp_path):
    told: list[object] = []
    with pytest.raises(OSError, match="holds none"):
        serve([str(tmp_path)], told=told.append, opens_browser=False)
    assert told == []


def test_a_look_that_waits_for_its_turn_is_not_followed_by_a_long_pause(copied, monkeypatch):
    session = Session([str(copied)])
    looks = []

    def slow():
        looks.append(time.monotonic())
        time.sleep(0.3)

    monkeypatch.setattr(session, "refresh", slow)
    app = create_app(session, token="x", port=80, poll_s=0.01)
    with TestClient(app, base_url="http://127.0.0.1"):
        end = time.monotonic() + 60
        while len(looks) < 4 and time.monotonic() < end:
            time.sleep(0.05)
    slept = looks[3] - looks[0] - 3 * 0.3
    assert slept < 2 * SHARE * 0.3, "three pauses of ten times what the clock says take 9 s"


def test_launches_what_they_ran_and_hours_are_told(copied):
    session = Session([str(copied)])
    record_launch_of(session.folders[0])
    told = session.provenance()
    (launch,) = told["launches"]
    assert (launch["commit"], launch["is_dirty"], launch["new_runs"]) == ("ab" * 20, True, 18)
    (claim,) = told["claims"]
    assert (claim["study"], claim["runs"]) == ("planted", 16)
    asked = ("planted", launch["launch"])
    assert session.ran(*asked, "packages.txt") == {"text": "numpy==2.4.0\n"}
    assert session.ran(*asked, "changes.diff") == {"text": HOSTILE}
    assert session.ran(*asked, "sources/net.py") == {"text": "import torch\n"}


@pytest.mark.parametrize("file", ["sources/../study.json", "study.json", None, "../../x", ""])
def test_a_text_that_no_launch_kept_is_refused(copied, file):
    session = Session([str(copied)])
    record_launch_of(session.folders[0])
    with pytest.raises(StoreError, match="it kept no"):
        session.ran("planted", "20250101T000000-abcdef", file)


def test_a_launch_that_is_not_there_is_refused(session):
    with pytest.raises(RequestError, match="must be one of a study here"):
        session.ran("planted", "other", "packages.txt")
