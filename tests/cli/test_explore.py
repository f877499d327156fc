import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

import pytest

from symstudy.errors import StoreError
from symstudy.store import open_store


def fetch(address):
    with urllib.request.urlopen(address) as answer:
        return json.loads(answer.read())


@pytest.fixture
def started(results):
    """An explorer as a process of its own, and what it has printed."""
    command = [sys.executable, "-m", "symstudy", "explore", str(results), "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    lines = iter(process.stdout.readline, "}\n")
    yield process, json.loads("".join(lines) + "}")
    process.kill()
    process.communicate()


def test_it_prints_where_the_page_is_answers_and_ends_with_ctrl_c(started):
    process, told = started
    assert told["page"].startswith(f"http://127.0.0.1:{told['port']}/?token=")
    (study,) = fetch(told["frame"] + "meta")["studies"]
    assert (study["name"], study["runs"]) == ("smoke", 12)
    with pytest.raises(urllib.error.HTTPError, match="403"):
        fetch(f"http://127.0.0.1:{told['port']}/meta")
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=20) == 0
    assert process.stderr.read() == "The explorer has ended.\n"


ENDLESS = "select sum(a.seed * b.seed) from range(1000000) a(seed), range(1000000) b(seed)"


def test_ctrl_c_ends_a_query_and_a_live_page_without_a_traceback(started):
    process, told = started
    live = urllib.request.urlopen(told["frame"] + "live")
    query = urllib.request.Request(
        told["frame"] + "sql",
        json.dumps({"queries": [ENDLESS]}).encode(),
        {"Content-Type": "application/json"},
    )
    answers = []

    def ask():
        with contextlib.suppress(OSError):
            answers.append(fetch(query))

    asking = threading.Thread(target=ask)
    asking.start()
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=20) == 0
    assert process.stderr.read() == "The explorer has ended.\n"
    asking.join()
    live.close()
    assert [answer["answers"][0]["error"] for answer in answers] == ["the explorer has ended."]


def test_a_notebook_shows_it_in_a_frame_and_closes_it(results):
    frame = open_store(str(results)).explore(height=700)
    try:
        assert f'<iframe src="{frame.address}" width="100%" height="700"' in frame._repr_html_()
        assert fetch(frame.address + "meta")["studies"][0]["name"] == "smoke"
    finally:
        frame.close()
    with pytest.raises(OSError, match=r"refused|403") as ended:
        fetch(frame.address + "meta")
    if isinstance(ended.value, urllib.error.HTTPError):
        # Another explorer of this machine has the port by now, and knows no such token.
        ended.value.close()


def test_a_notebook_is_told_that_it_did_not_start(results, monkeypatch, capfd):
    store = open_store(str(results))
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(StoreError, match="the explorer must start, but did not"):
        store.explore()


def test_a_port_in_use_ends_with_2_and_what_to_type(program, results):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        said = program("explore", results, "--no-open", "--port", other.getsockname()[1])
    assert said.returncode == 2
    assert "Leave --port out to take a free one." in said.stderr


def test_over_ssh_it_says_how_to_forward_the_port(monkeypatch):
    from symstudy.explore.server import Address

    monkeypatch.setitem(os.environ, "SSH_CONNECTION", "10.0.0.1 5000 10.0.0.2 22")
    monkeypatch.setitem(os.environ, "USER", "ada")
    assert Address(9000, "t").forward == "ssh -N -L 9000:localhost:9000 ada@10.0.0.2"
    monkeypatch.delenv("SSH_CONNECTION")
    assert Address(9000, "t").forward is None
