"""The claims of the repository, loaded as the program loads them."""

import sys

import numpy as np
import pytest

from symstudy.findings.discovery import find_project, load_claims
from symstudy.study import load_study
from symstudy.testing.stores import plant_store


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
        return plant_store(tmp_path / str(repeat), studies[key], lambda run: measures_of(run, rng))

    return make


@pytest.fixture
def plant_attention(plant):
    """Plant degrees of attention that grow with keys of the data by given slopes."""

    def make(slopes, *, spread=0.3, repeat=0, change=lambda run, row: row):
        def measures(run, rng):
            noise = rng.normal(size=2) * spread
            shift = sum(slope * getattr(run.cell.data, key) for key, slope in slopes.items())
            pair = np.clip(np.round(6.0 + 0.5 * shift + noise), 0, 16)
            row = {
                "query_key_breaking": float(pair[0]),
                "value_output_breaking": float(pair[1]),
                "query_key_effective_rank": 0.8 * float(pair[0]),
                "value_output_effective_rank": 0.8 * float(pair[1]),
                "head_directions": 16,
            }
            return change(run, row)

        return plant("adaptive_capacity_transformer", measures, repeat)

    return make


@pytest.fixture
def plant_capacity(plant):
    """Plant minima whose count grows with input scale and teacher and falls with fixed noise."""

    def make(way=1, noise=0.02, grad_ratio=1e-9, repeat=0, seeds=None):
        def adapted(run, rng):
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

        return plant("adaptive_capacity", adapted, repeat, seeds)

    return make


@pytest.fixture
def plant_widths(plant):
    """Plant ranks that grow as width^free under GD, and by `slope` under noise or decay."""

    def make(slope=0.0, free=0.8, fall=0.0, loss_slope=0.0, budget=60.0, repeat=0, seeds=None):
        def saturated(run, rng):
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
            layers = [
                {"step": half, "layer": layer, **last, "rank": round(rank * (1 + fall))}
                for layer in (1, 2)
            ]
            history = [{"step": half, "test_loss": loss * (1 + fall), "decay_budget": budget / 2}]
            final = {**last, "rank": rank, "test_loss": loss, "decay_budget": budget}
            return {**final, "layers": layers, "history": history}

        return plant("width_saturation_noise", saturated, repeat, seeds)

    return make


@pytest.fixture
def plant_spectrum(plant):
    """Plant the exact ranks on targets k^-a by depth; with `tilt` those of another exponent."""

    def make(name, tilt=0.0, noise=0.0, grad_ratio=1e-8, weak=0, repeat=0, seeds=None):
        def kept(run, rng):
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

        return plant(name, kept, repeat, seeds)

    return make
