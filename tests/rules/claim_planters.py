"""Which truths are planted for a claim: the functions of its own tests."""

import importlib.util
import tempfile
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from symstudy.findings import Claim
from symstudy.store import Store
from symstudy.study import Run, load_study
from symstudy.testing.searches import plant_search
from symstudy.testing.stores import plant_store

__all__ = ["PLANTERS", "Planter", "load_file", "planted_truth"]

ROOT = Path(__file__).parents[2]
SHARED = "conftest"


class Planter(NamedTuple):
    """A function of the tests of claims that gives the measures of a run.

    Attributes:
        function: Its name.
        options: What it is called with.
        file: File of the tests that it is in, without `test_`; that of the claim if empty.
        is_drawn: Whether it takes a generator.
        settings: What is changed in the study, such as data in place of files.
        pairs: Name of the function that gives the rows of a pair of runs; empty where none count.
    """

    function: str
    options: Mapping[str, Any] = {}
    file: str = ""
    is_drawn: bool = True
    settings: tuple[str, ...] = ()
    pairs: str = ""


PLANTERS: dict[str, Planter] = {
    "adaptive_capacity_fixed_noise": Planter("adapted", file=SHARED),
    "adaptive_capacity_input_scale": Planter("adapted", file=SHARED),
    "adaptive_capacity_online_noise": Planter("pruned"),
    "adaptive_capacity_teacher": Planter("adapted", file=SHARED),
    "adaptive_capacity_transformer_input_scale": Planter(
        "attended", {"slopes": {"input_scale": 4.0}}, SHARED
    ),
    "adaptive_capacity_transformer_noise": Planter(
        "attended", {"slopes": {"label_noise": -4.0}}, SHARED
    ),
    "adaptive_capacity_transformer_task": Planter(
        "attended", {"slopes": {"task_dim": 4.0}}, SHARED
    ),
    "conservation_laws": Planter("conserving"),
    "critical_line": Planter("growing", is_drawn=False),
    "depth_escape": Planter("escaping", is_drawn=False),
    "depth_gap": Planter("gapped"),
    "hysteresis": Planter("looped", is_drawn=False),
    "layer_hierarchy": Planter("ordered", settings=('data.kind=["digits"]', "data.samples=1400")),
    "learning_jumps": Planter("jumping"),
    "learning_jumps_activations": Planter("jumping"),
    "mode_connectivity": Planter("barriers"),
    "mode_timing": Planter("logistic", is_drawn=False),
    "mup_transfer": Planter("bowl", is_drawn=False),
    "neural_collapse": Planter("collapsing"),
    "noise_weight_decay_equivalence": Planter("growing"),
    "phase_diagram": Planter("phased"),
    "rank_scaling_law": Planter("lawful"),
    "rank_scaling_law_depth": Planter("kept", file=SHARED),
    "rank_scaling_law_relu": Planter("kept", file=SHARED),
    "restoration_by_decay": Planter("restored"),
    "space_quantization": Planter("quantized"),
    "space_quantization_at_minima": Planter("quantized"),
    "symmetric_states_trap": Planter("trapped"),
    "teacher_student_table": Planter("learned"),
    "teacher_student_transformer": Planter("degrees"),
    "teleportation": Planter("bowl", is_drawn=False),
    "universal_alignment": Planter(
        "exact", file="planted_pairs", is_drawn=False, pairs="exact_pairs"
    ),
    "universal_alignment_images": Planter(
        "middle", file="planted_pairs", is_drawn=False, pairs="middle_pairs"
    ),
    "universal_alignment_widths": Planter(
        "middle", file="planted_pairs", is_drawn=False, pairs="middle_pairs"
    ),
    "vision_transformers": Planter("trained"),
    "width_saturation": Planter("saturating"),
    "width_saturation_exact": Planter("exact"),
    "width_saturation_first_layer": Planter("regular", file=SHARED),
    "width_saturation_noise": Planter("regular", file=SHARED),
}
"""By claim. Claims by functions of their own are not here: docs/design/statistics.md says why."""


@cache
def load_file(path: Path) -> ModuleType:
    """Return a file of tests as a module."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def planted_truth(claim: Claim, seeds: int | None = None, **changed: Any) -> tuple[Store, int]:
    """Return a store in which a claim is true, written as Parquet, and its number of seeds.

    Args:
        claim: The claim.
        seeds: Seeds of the study; as many as it has if None.
        changed: Options of the planter that differ.
    """
    planter = PLANTERS[claim.name]
    tests = ROOT / "tests/claims"
    file = planter.file or f"test_{claim.name}"
    module = load_file(tests / f"{file}.py")
    evident = load_file(tests / f"{SHARED}.py").evident
    function: Callable[..., Mapping[str, Any]] = getattr(module, planter.function)
    options = {**planter.options, **changed}
    rng = np.random.default_rng(5)

    def measures(run: Run) -> Mapping[str, Any]:
        drawn = (rng,) if planter.is_drawn else ()
        measured: Mapping[str, Any] = evident(run, function(run, *drawn, **options))
        return measured

    overrides = planter.settings + (() if seeds is None else (f"seed={seeds}",))
    study = load_study(ROOT / "studies" / f"{claim.study}.toml", overrides=overrides)
    count = len({run.seed for run in study.runs()}) if study.search is None else 20
    folder = Path(tempfile.mkdtemp(prefix="planted-"))
    if study.search is not None:
        exact = module.exact
        search = lambda run: function(run, lambda t, _: exact(t))  # noqa: E731
        return plant_search(folder, study, search), count
    pairs = getattr(module, planter.pairs) if planter.pairs else None
    return plant_store(folder, study, measures, pairs_of=pairs), count
