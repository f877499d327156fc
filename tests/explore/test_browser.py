"""The page in a real browser: Debian's Chromium, driven by playwright."""

import os
import shutil
import threading
import time
from urllib.parse import unquote

import pytest
import uvicorn

from symstudy.explore.app import create_app
from symstudy.explore.server import open_port
from symstudy.explore.session import Session
from symstudy.findings.discovery import load_claims
from symstudy.findings.evaluate import draw_claim, evaluate_claim
from symstudy.project import find_project
from symstudy.store import StudyFolder, find_studies, open_location
from symstudy.study import load_study
from symstudy.testing.stores import plant_pack, plant_store
from tests.explore.conftest import record_launch_of

CHROMIUM = os.environ.get("SYMSTUDY_CHROMIUM") or shutil.which("chromium")
TOKEN = "token-of-these-tests"
PATIENCE_S = 20.0

pytestmark = [
    pytest.mark.browser,
    pytest.mark.xdist_group("browser"),
    pytest.mark.skipif(not CHROMIUM, reason="no chromium is installed: apt-get install chromium"),
]


@pytest.fixture(scope="module")
def place(planted, growing_study, tmp_path_factory, pytestconfig):
    """A hostile study, one of which all runs are missing, and one with a verdict and its figure."""
    place = shutil.copytree(planted, tmp_path_factory.mktemp("browsed") / "results")
    (folder,) = plant_store(place, growing_study, lambda _: {"test_loss": 1.0}).folders
    shutil.rmtree(folder.join("runs"))
    study = load_study(
        pytestconfig.rootpath / "studies" / "rank_scaling_law.toml", overrides=("seed=3",)
    )

    def exact(run):
        rank = (1 / run.cell.train.gamma) ** (1 / run.cell.data.exponent)
        steps = [{"step": step, "test_loss": 1 / step} for step in (1, 10, 100)]
        return {"weight_rank": int(rank), "grad_ratio": 1e-8, "test_loss": 0.1, "history": steps}

    (folder,) = plant_store(place, study, exact).folders
    claim = load_claims(find_project(pytestconfig.rootpath))["rank_scaling_law"]
    draw_claim(evaluate_claim(claim, folder), folder)
    return place


@pytest.fixture(scope="module")
def address(place):
    """An explorer that looks for new rows ten times a second."""
    with open_port(None) as listener:
        port = listener.getsockname()[1]
        app = create_app(Session([str(place)]), token=TOKEN, port=port, poll_s=0.1)
        settings = uvicorn.Config(app, log_level="error", ws="none", timeout_graceful_shutdown=1)
        server = uvicorn.Server(settings)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{port}/"
        server.should_exit = True
        thread.join(10)


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as player:
        options = ["--no-sandbox", "--disable-gpu"]
        running = player.chromium.launch(executable_path=CHROMIUM, args=options)
        yield running
        running.close()


@pytest.fixture
def open_page(browser, address):
    """Open the explorer; at the end the page must have had no error and no script of others."""
    opened, wrong = [], []

    def start(view="", width=1300, token=TOKEN, **options):
        context = browser.new_context(viewport={"width": width, "height": 1000}, **options)
        page = context.new_page()
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("dialog", lambda dialog: wrong.append(f"a dialog: {dialog.message}"))
        page.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
        # One step: a page that is open sets its address, which would be a race against this one.
        page.goto(f"{address}?token={token}#{view}")
        opened.append(context)
        return page

    yield start
    for context in opened:
        context.close()
    assert wrong == []


def wait(page, expression, expected=True, *, see="#main"):
    """Wait until an expression of the page has a value; the page's policy allows no other way.

    What is out of sight is not asked for, and panels above grow while they are drawn.
    """
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        if see != "#main":
            page.locator(see).scroll_into_view_if_needed()
        value = page.evaluate(expression)
        if value == expected:
            return
        time.sleep(0.05)
    assert value == expected


def text_of(selector):
    return f"(document.querySelector({selector!r})?.textContent ?? '')"


TOTAL = "document.querySelector('#runs .pager span')?.textContent.split(' of ')[1] ?? ''"
PLANTED = 'filters={"study":{"values":["planted"]}}'


def test_without_its_token_the_page_says_what_to_do(browser, address):
    page = browser.new_page()
    page.goto(address)
    assert "Open the address that symstudy explore has printed" in page.content()
    page.close()


def test_a_brush_changes_the_counts_and_a_link_restores_the_view(open_page):
    page = open_page(PLANTED)
    wait(page, TOTAL, "16", see="#runs")
    bars = page.locator('[data-column="width"] svg').bounding_box()
    y = bars["y"] + 20
    page.mouse.move(bars["x"] + 5, y)
    page.mouse.down()
    page.mouse.move(bars["x"] + bars["width"] * 0.6, y, steps=4)
    page.mouse.up()
    wait(page, TOTAL, "12", see="#runs")
    assert '"width":{"values":[8,16]}' in unquote(page.url)
    again = open_page(page.url.split("#")[1])
    wait(again, TOTAL, "12", see="#runs")


def test_a_verdict_leads_to_its_figure_and_its_points_to_learning_curves(open_page):
    page = open_page('filters={"study":{"values":["rank_scaling_law"]}}')
    wait(page, "document.querySelectorAll('.card').length", 1)
    page.click(".card")
    wait(page, "document.querySelector('.drawn img')?.naturalWidth > 100")
    wait(page, "document.querySelectorAll('.points canvas').length > 0")
    chart = page.query_selector(".points .chart")
    chart.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    wait(page, "document.querySelectorAll('.chip').length", 1)
    page.locator("#curves").scroll_into_view_if_needed()
    wait(page, "document.querySelectorAll('#curves canvas').length", 1)
    wait(page, "document.querySelector('#curves .notes').textContent.includes('of')", False)


def test_names_of_others_are_shown_as_text(open_page):
    page = open_page(PLANTED)
    page.locator("#endings").scroll_into_view_if_needed()
    wait(page, "document.querySelectorAll('#endings .reason').length", 1)
    shown = page.evaluate(text_of("#endings .reason"))
    assert shown == "<img src=x onerror=alert(1)>\\x1b[31m\\u202e"
    assert page.evaluate("document.querySelectorAll('img[src=x]').length") == 0


def test_cells_are_reached_by_keyboard_and_left_by_escape(open_page):
    page = open_page(PLANTED)
    page.locator("#grid").scroll_into_view_if_needed()
    wait(page, "document.querySelectorAll('#grid .cell').length", 6)
    page.focus("#grid svg")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.querySelectorAll('#grid .lit').length") == 1
    assert "width" in page.inner_text("#tip")
    page.keyboard.press("Enter")
    wait(page, text_of(".chip"), "Runs of width = 16, weight decay gamma = 0.1x")
    page.keyboard.press("Escape")
    wait(page, "document.querySelectorAll('.chip').length", 0)


def test_hovering_a_run_highlights_it_in_other_panels(open_page):
    page = open_page(PLANTED, width=1900)
    page.locator("#grid").scroll_into_view_if_needed()
    wait(page, "document.querySelectorAll('#grid .cell').length", 6)
    wait(page, TOTAL, "16", see="#runs")
    page.hover("#runs tbody tr:nth-child(3)")
    for panel in ("#grid .lit", '[data-column="width"] .lit'):
        assert page.evaluate(f"document.querySelectorAll({panel!r}).length") == 1


def test_sql_that_writes_is_refused_on_the_page(open_page):
    page = open_page()
    page.fill("#sql textarea", "drop table runs")
    page.keyboard.press("Control+Enter")
    wait(page, f"{text_of('#sql .error')}.includes('one SELECT statement')")
    page.fill("#sql textarea", "select count(*) as num from runs")
    page.keyboard.press("Control+Enter")
    wait(page, "document.querySelectorAll('#sql td').length", 1)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_narrow_page_fits_in_both_schemes(open_page, scheme):
    page = open_page(PLANTED, width=900, color_scheme=scheme, reduced_motion="reduce")
    wait(page, "document.querySelectorAll('#grid .cell').length", 6)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    paper = page.evaluate("getComputedStyle(document.querySelector('.panel')).backgroundColor")
    assert paper == {"light": "rgb(255, 255, 255)", "dark": "rgb(24, 29, 35)"}[scheme]


INK_OF_CHARTS = """Array.from(document.querySelectorAll(".chart"))
    .map((box) => echarts.getInstanceByDom(box).getOption().textStyle.color).join()"""


def test_a_dark_page_is_printed_whole_and_dark_on_white(open_page):
    page = open_page(PLANTED, color_scheme="dark")
    wait(page, "document.querySelectorAll('#lines .chart canvas').length", 1)
    page.evaluate("void (window.print = () => { window.isPrinted = true; })")
    page.keyboard.press("Control+p")
    wait(page, "window.isPrinted", True)
    for panel in ("#curves canvas", "#runs tbody tr", "#provenance .body > *"):
        assert page.evaluate(f"document.querySelectorAll({panel!r}).length"), panel
    assert set(page.evaluate(INK_OF_CHARTS).split(",")) == {"#e6eaef"}
    page.emulate_media(media="print", color_scheme="dark")
    wait(page, f"{INK_OF_CHARTS}.split(',').every((ink) => ink === '#1c2530')", True)
    paper = "getComputedStyle(document.querySelector('.panel')).backgroundColor"
    assert page.evaluate(paper) == "rgb(255, 255, 255)"
    assert not page.locator("#sql").is_visible()
    page.emulate_media(media="screen", color_scheme="dark")
    wait(page, f"{INK_OF_CHARTS}.split(',').every((ink) => ink === '#e6eaef')", True)


def test_rows_that_are_added_appear_by_themselves(open_page, place, growing_study):
    page = open_page('filters={"study":{"values":["growing"]}}')
    wait(page, f"{text_of('.accounts')}.includes('2 planned: 2 missing')")
    wait(page, f"{text_of('#grid .legend')}.includes('failed or are missing')", see="#grid")
    wait(page, f"{text_of('#scatter .empty')}.includes('No run is in view')", see="#scatter")
    folder = StudyFolder(*open_location(str(place / "growing")))
    plant_pack(folder, "growing", "added", growing_study.runs(), lambda _: {"test_loss": 1.0})
    wait(page, f"{text_of('.accounts')}.includes('2 planned: 2 done')")
    wait(page, text_of("#grid .cell text"), "1", see="#grid")


def test_the_last_panel_says_which_code_and_packages_made_the_results(open_page, place):
    (folder,) = find_studies([str(place / "planted")])
    record_launch_of(folder)
    page = open_page(PLANTED)
    wait(
        page, "document.querySelectorAll('#provenance .launch button').length", 3, see="#provenance"
    )
    page.locator("#provenance button", has_text="changes.diff").click()
    wait(page, f"{text_of('#provenance pre')}.includes('onerror=alert(1)')", see="#provenance")
    assert "worker hours" in page.evaluate(text_of("#provenance .hours"))
