"""The explorer at a million runs: first paint, and a brush until every panel in sight is drawn.

`python tests/benchmarks/explorer.py`, or `... explorer.py FOLDER` for results that are there.
Without Chromium the server's own time for a brush is printed and nothing else. Panels that are out
of sight are not asked for, in the browser as in the requests that are timed here.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from store import new_folder, show, sweep, write_results

BRUSHES = 30
FIRST_PAINT_S = 1.0
BRUSH_S = 0.2
IDLE_S = 0.3
"""Processor's seconds in three that a server takes which looks for new rows and does no more."""
PANELS: list[dict[str, Any]] = [
    *({"panel": "histogram", "column": name} for name in ("width", "gamma", "lr", "test_loss")),
    *({"panel": "histogram", "column": name} for name in ("outcome", "seed")),
    {"panel": "grid", "x": "width", "y": "gamma", "measure": "test_loss"},
    {"panel": "lines", "x": "width", "by": "gamma", "measure": "test_loss"},
]
"""What is in sight of a window of 1300 by 900 at the top of the page."""


def plant(place: str) -> None:
    """Write a million runs whose study says what it sweeps."""
    study = sweep(40, 5)
    folder = new_folder(place, "large")
    swept = ["model.width", "train.gamma", "train.lr"]
    folder.write_study({**folder.read_study(), "swept": swept})
    write_results(folder, study, study.runs(), probes=2, pack=1000)


def ask(address: str, body: dict[str, Any]) -> dict[str, Any]:
    """Return the answer to a request."""
    request = urllib.request.Request(  # an address of this machine
        address, json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request) as answer:  # as above
        found: dict[str, Any] = json.loads(answer.read())
    return found


def range_of_rates(at: int) -> dict[str, Any]:
    """Return the filter of a brush over the learning rates."""
    return {"lr": {"low": 0.01, "high": 0.02 + 0.01 * at}}


def processor_seconds(process: int) -> float:
    """Return the seconds that a process and those it has started have used of the processor."""
    folder = Path("/proc", str(process))
    try:
        fields = (folder / "stat").read_text().rpartition(")")[2].split()
        started = (folder / "task" / str(process) / "children").read_text().split()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    own = sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")
    return own + sum(processor_seconds(int(child)) for child in started)


def busy_of(server: int) -> np.ndarray:
    """Return the processor's seconds of the server, and of all that runs beside it here."""
    own = processor_seconds(server)
    return np.array([own, processor_seconds(os.getpid()) - own])


def show_brushes(what: str, brush: Callable[[int], float | None], server: int) -> None:
    """Move the brush often; print how long it takes, and what the processor does meanwhile."""
    before, seconds = busy_of(server), []
    for at in range(BRUSHES):
        start = time.perf_counter()
        told = brush(at)
        seconds.append(time.perf_counter() - start if told is None else told)
    of_server, of_others = (busy_of(server) - before) / BRUSHES
    show(f"{what}, median", float(np.median(seconds)), busy=of_server + of_others)
    print(f"    of the CPU {of_server:.2f} s are the server's, {of_others:.2f} s are not")
    show(f"{what}, p90", float(np.quantile(seconds, 0.9)), BRUSH_S)


def time_server(frame: str, server: int) -> None:
    """Print how long the server takes for a brush."""

    def brush(at: int) -> None:
        answer = ask(f"{frame}panels", {"filters": range_of_rates(at), "want": PANELS})
        assert not any("error" in panel for panel in answer["panels"]), answer

    show_brushes("a brush, the server's part", brush, server)


PAINTED = """() => new Promise((done) => {
    const end = () => done(performance.now() / 1000);
    const tell = () => requestAnimationFrame(() => setTimeout(end));
    const look = () => document.querySelectorAll(".histogram rect").length > 0 && (tell(), true);
    const watch = (_, observer) => { if (look()) observer.disconnect(); };
    if (!look()) new MutationObserver(watch).observe(document, { childList: true, subtree: true });
})"""
"""Resolves to the seconds from the address to the first histogram on the screen."""
BRUSHED = """async (filter) => {
    const { store } = await import(new URL("static/js/state.js", location.href).href);
    const root = document.documentElement;
    const start = performance.now();
    const drawn = new Promise((done) => {
        new MutationObserver((_, observer) => { observer.disconnect(); done(); })
            .observe(root, { attributeFilter: ["data-round"] });
    });
    store.set({ filters: { ...store.state.filters, lr: filter } }, false);
    await drawn;
    await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
    return (performance.now() - start) / 1000;
}"""
"""Moves the brush by a bar; resolves to the seconds until all that is in sight is drawn.

Nothing looks again and again: on busy cores looking would be most of what is measured.
"""


def time_page(page_address: str, chromium: str, server: int) -> None:
    """Print how long the page takes until it is painted, and for a brush."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as player:
        options = ["--no-sandbox", "--disable-gpu"]
        browser = player.chromium.launch(executable_path=chromium, args=options)
        page = browser.new_page(viewport={"width": 1300, "height": 900})
        start = busy_of(server)
        page.goto(page_address, wait_until="commit")
        painted = float(page.evaluate(PAINTED))
        used = busy_of(server) - start
        show("first paint, with histograms", painted, FIRST_PAINT_S, float(used.sum()))
        wait_until_still(page, server)
        show_brushes(
            "a brush in the browser",
            lambda at: float(page.evaluate(BRUSHED, range_of_rates(at)["lr"])),
            server,
        )
        browser.close()


def wait_until_still(page: Any, server: int) -> None:
    """Wait until the page asks for nothing any more, and the server has nothing to do."""
    rounds, used = "", 0.0
    while True:
        now = str(page.evaluate("document.documentElement.dataset.round"))
        busy = float(processor_seconds(server))
        if now == rounds and busy - used < IDLE_S:
            return
        rounds, used = now, busy
        time.sleep(3)


def run(results: str) -> None:
    """Start an explorer of some results, and time it."""
    command = [sys.executable, "-m", "symstudy", "explore", results, "--no-open", "--json"]
    start = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        told = json.loads("".join(iter(process.stdout.readline, "}\n")) + "}")
        show("until it prints its address", time.perf_counter() - start)
        try:
            ask(f"{told['frame']}panels", {"filters": {}, "want": PANELS})
            time_server(told["frame"], process.pid)
            if chromium := shutil.which("chromium"):
                time_page(told["page"], chromium, process.pid)
            else:
                print("  no Chromium: the page itself is not timed")
        finally:
            process.terminate()


def main() -> None:
    """Time the explorer of a million runs, or of the results that are named."""
    if len(sys.argv) > 1:
        run(sys.argv[1])
        return
    with tempfile.TemporaryDirectory() as place:
        plant(place)
        print("  1,000,000 runs in 1,000 packs:")
        run(str(Path(place)))


if __name__ == "__main__":
    main()
