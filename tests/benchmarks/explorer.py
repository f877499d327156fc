"""The explorer at a million runs: first paint, and a brush until every panel in sight is drawn.

`python tests/benchmarks/explorer.py`, or `... explorer.py FOLDER` for results that are there.
Without Chromium the server's own time for a brush is printed and nothing else. Panels that are out
of sight are not asked for, in the browser as in the requests that are timed here.
"""

import json
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
from store import new_folder, show, sweep, write_results

BRUSHES = 30
FIRST_PAINT_S = 1.0
BRUSH_S = 0.2
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


def time_server(frame: str) -> None:
    """Print how long the server takes for a brush."""
    seconds = []
    for at in range(BRUSHES):
        start = time.perf_counter()
        answer = ask(f"{frame}panels", {"filters": range_of_rates(at), "want": PANELS})
        seconds.append(time.perf_counter() - start)
        assert not any("error" in panel for panel in answer["panels"]), answer
    show("a brush, the server's part, median", float(np.median(seconds)))
    show("a brush, the server's part, p90", float(np.quantile(seconds, 0.9)), BRUSH_S)


def time_page(page_address: str, chromium: str) -> None:
    """Print how long the page takes until it is painted, and for a brush."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as player:
        options = ["--no-sandbox", "--disable-gpu"]
        browser = player.chromium.launch(executable_path=chromium, args=options)
        page = browser.new_page(viewport={"width": 1300, "height": 900})
        start = time.perf_counter()
        page.goto(page_address)
        while not page.evaluate("document.querySelectorAll('.histogram rect').length"):
            time.sleep(0.01)
        show("first paint, with histograms", time.perf_counter() - start, FIRST_PAINT_S)
        wait_until_still(page)
        seconds = [brush(page, at) for at in range(BRUSHES)]
        show("a brush in the browser, median", float(np.median(seconds)))
        show("a brush in the browser, p90", float(np.quantile(seconds, 0.9)), BRUSH_S)
        browser.close()


def brush(page: Any, at: int) -> float:
    """Move a brush by a bar, and return the seconds until all that is in sight is drawn."""
    script = """async (filter) => {
        const { store } = await import(new URL("static/js/state.js", location.href).href);
        const before = document.documentElement.dataset.round;
        const start = performance.now();
        store.set({ filters: { ...store.state.filters, lr: filter } }, false);
        const frame = () => new Promise(requestAnimationFrame);
        while (document.documentElement.dataset.round === before) await frame();
        return (performance.now() - start) / 1000;
    }"""
    return float(page.evaluate(script, range_of_rates(at)["lr"]))


def wait_until_still(page: Any) -> None:
    """Wait until the page asks for nothing any more."""
    rounds = ""
    while (now := str(page.evaluate("document.documentElement.dataset.round"))) != rounds:
        rounds = now
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
            time_server(told["frame"])
            if chromium := shutil.which("chromium"):
                time_page(told["page"], chromium)
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
