"""The claims of the repository, loaded as the program loads them."""

import sys

import numpy as np
import pytest

from symstudy.findings.discovery import load_claims
from symstudy.project import find_project
from symstudy.study import load_study
from symstudy.testing.stores import plant_store


def evident(run, row):
    """Add to a row of a run what makes it evidence, unless it says otherwise.

    Its layer has more neurons than are distinct, is alive, and had as many at a fifth of the time.
    """
    if "test_loss" in row:
        row = {"trivial_loss": 1e3, **row}
    if "distinct_neurons" not in row or row["distinct_neurons"] is None:
        return row
    row = {"neurons": 2 * int(row["distinct_neurons"]) + 2, "max_norm": 1.0, **row}
    if "grad_ratio" in row or "layers" in row:
        return row
    step = run.cell.train.steps // 5
    names = ("distinct_neurons", "neurons", "max_norm", "distance_gap")
    before = {"step": step, "layer": 1, **{name: row.get(name) for name in names}}
    before["distinct_neurons"] = int(row["distinct_neurons"])
    history = [{"step": step, "decay_budget": row.get("decay_budget", 0.0) / 5}]
    return {**row, "layers": [before], "history": history}


def attended(run, rng, slopes, spread=0.3):
    """Degrees of attention that grow with keys of the data by given slopes."""
    noise = rng.normal(size=2) * spread
    shift = sum(slope * getattr(run.cell.data, key) for key, slope in slopes.items())
    pair = np.clip(np.round(6.0 + 0.5 * shift + noise), 0, 16)
    return {
        "query_key_breaking": float(pair[0]),
        "value_output_breaking": float(pair[1]),
        "query_key_effective_rank": 0.8 * float(pair[0]),
        "value_output_effective_rank": 0.8 * float(pair[1]),
        "head_directions": 16,
    }


def adapted(run, rng, way=1, noise=0.02, grad_ratio=1e-9):
    """Minima whose count grows with input scale and teacher and falls with fixed noise."""
    data = run.cell.data
    log = np.log(data.input_scale) + np.log(data.teacher_width / 8) - data.label_noise
    count = 10 * np.exp(0.4 * way * log + noise * rng.normal())
    return {
        "distinct_neurons": count,
        "breaking_sorted": count - 1,
        "rank": count,
        "max_norm": 1.0,
        "grad_ratio": grad_ratio,
    }


def regular(run, rng, slope=0.0, free=0.8, fall=0.0, loss_slope=0.0, budget=60.0):
    """Ranks that grow as width^free under GD, and by `slope` under noise or decay."""
    train, width = run.cell.train, run.cell.model.width
    is_regular = train.gamma > 0 or not train.full_batch
    noise = np.exp(0.01 * rng.normal(size=2))
    # In the hundreds, so that whole numbers have no part in it.
    rank = 200 * (width / 16) ** slope if is_regular else 160 * (width / 16) ** free
    rank = round(rank * noise[0])
    loss = 0.4 * (width / 16) ** loss_slope * noise[1]
    last = {"effective_rank": float(rank), "distinct_neurons": rank}
    half = int(0.45 * train.steps)
    # What still falls was more at half of the steps.
    early = {"layer": 1, "neurons": 9999, "max_norm": 1.0, **last}
    layers = [
        {"step": half, **early, "rank": round(rank * (1 + fall))},
        {"step": int(0.2 * train.steps), **early, "rank": 2 * rank},
    ]
    history = [
        {"step": half, "test_loss": loss * (1 + fall), "decay_budget": budget / 2},
        {"step": int(0.2 * train.steps), "test_loss": 2 * loss, "decay_budget": budget / 5},
    ]
    final = {**last, "rank": rank, "test_loss": loss, "decay_budget": budget}
    final |= {"neurons": 9999, "trivial_loss": 1e3}
    return {**final, "layers": layers, "history": history}


def kept(run, rng, tilt=0.0, noise=0.0, grad_ratio=1e-8, weak=0):
    """The exact ranks on targets k^-a by depth; with `tilt` those of another exponent."""
    cell = run.cell
    depth = cell.model.depth
    values = np.arange(1, 200) ** (-cell.data.exponent / (1 + tilt * cell.data.exponent))
    if depth > 2:
        share = (depth - 2) / (2 * depth - 2)
        values = (values * share) ** ((2 * depth - 2) / depth) * depth / (depth - 2)
    rank = max(1, int((values > cell.train.gamma).sum()) + round(noise * rng.normal()))
    return {
        "weight_rank": rank,
        "distinct_directions": rank - min(weak, rank - 1),
        "grad_ratio": grad_ratio,
    }


@pytest.fixture(autouse=True)
def close_figures():
    """Close what a test has drawn: pyplot keeps figures, and warns of many."""
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


@pytest.fixture(scope="session")
def claims(request):
    return load_claims(find_project(request.config.rootpath))


@pytest.fixture
def plant(tmp_path, request):
    """Plant the laptop preset of a shipped study; noise is drawn anew by the number of a repeat.

    With `seeds` it has more of them: refuting one of several parts takes more than supporting all.
    """
    studies = {}

    def make(name, measures_of, repeat=0, seeds=None):
        key = (name, seeds)
        if key not in studies:
            path = request.config.rootpath / "studies" / f"{name}.toml"
            studies[key] = load_study(path, overrides=() if seeds is None else (f"seed={seeds}",))
        rng = np.random.default_rng([repeat, 12345])
        return plant_store(
            tmp_path / str(repeat), studies[key], lambda run: evident(run, measures_of(run, rng))
        )

    return make


@pytest.fixture
def plant_attention(plant):
    """Plant degrees of attention that grow with keys of the data by given slopes."""

    def make(slopes, *, spread=0.3, repeat=0, change=lambda run, row: row):
        def measures(run, rng):
            return change(run, attended(run, rng, slopes, spread))

        return plant("adaptive_capacity_transformer", measures, repeat)

    return make


@pytest.fixture
def plant_capacity(plant):
    """Plant minima whose count grows with input scale and teacher and falls with fixed noise."""

    def make(repeat=0, seeds=None, **options):
        def measures(run, rng):
            return adapted(run, rng, **options)

        return plant("adaptive_capacity", measures, repeat, seeds)

    return make


@pytest.fixture
def plant_widths(plant):
    """Plant ranks that grow as width^free under GD, and by `slope` under noise or decay."""

    def make(repeat=0, seeds=None, **options):
        def measures(run, rng):
            return regular(run, rng, **options)

        return plant("width_saturation_noise", measures, repeat, seeds)

    return make


@pytest.fixture
def plant_spectrum(plant):
    """Plant the exact ranks on targets k^-a by depth; with `tilt` those of another exponent."""

    def make(name, repeat=0, seeds=None, **options):
        def measures(run, rng):
            return kept(run, rng, **options)

        return plant(name, measures, repeat, seeds)

    return make
