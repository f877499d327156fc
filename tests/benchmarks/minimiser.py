"""One process, one thread: the packed L-BFGS against SciPy's L-BFGS-B, a lane at a time.

Both minimise the same objectives in float64 from the same initial states, SciPy on torch's
gradient, as a script without symstudy would.
"""

import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from documented import table, tell
from numpy.typing import NDArray
from scipy.optimize import minimize

from symstudy.losses.squared_error import SquaredError
from symstudy.study import PackConfig, make_study
from symstudy.training.engines.base import LoadedPack
from symstudy.training.engines.minimiser import MinimiserEngine
from symstudy.training.loop import make_engine, make_pack
from symstudy.training.losses import data_loss

Vector = NDArray[np.float64]
Gradient = Callable[[int, Vector], tuple[float, Vector]]
SEEDS = 5
GAMMA = 0.01
TOLERANCE = 1e-8


def pack_of(width: int) -> LoadedPack:
    """Return a pack of tanh students: 8 inputs, 4 outputs, 300 samples."""
    study = make_study(
        {
            "schema": 1,
            "name": "bench",
            "model": {"kind": "fcn", "width": width, "bias": False},
            "data": {"kind": "teacher_student", "samples": 300, "test_samples": 2},
            "train": {
                "optimizer": "lbfgs",
                "gamma": GAMMA,
                "steps": 20_000,
                "restarts": 1,
                "tolerance": TOLERANCE,
            },
            "sweep": {"seed": SEEDS},
        }
    )
    return make_pack(study.runs(), PackConfig(device="cpu"))


def by_scipy(starts: Vector, gradient_of: Gradient) -> Vector:
    """Return the objective that SciPy comes to from each start, and its relative gradient."""
    found = []
    for lane, start in enumerate(starts):
        result = minimize(
            lambda theta, lane=lane: gradient_of(lane, theta),
            start,
            jac=True,
            method="L-BFGS-B",
            options={"maxcor": 20, "maxiter": 20_000, "maxfun": 10**6, "ftol": 1e-14, "gtol": 1e-8},
        )
        _, gradient = gradient_of(lane, result.x)
        found.append((result.fun, np.linalg.norm(gradient) / (1 + abs(result.fun))))
    return np.array(found)


def torch_gradient(pack: LoadedPack) -> Gradient:
    """Return the objective and gradient of a lane by torch."""
    split = pack.data.train
    x, y = torch.from_numpy(split.x), torch.from_numpy(split.y)

    def gradient_of(lane: int, theta: Vector) -> tuple[float, Vector]:
        row = torch.tensor(theta[None], requires_grad=True)
        output = pack.model.forward(row, x[split.lane_x[lane]][None]).output_KBO
        loss = data_loss(SquaredError(), output, y[split.lane_y[lane]][None]).sum()
        value = loss + GAMMA * row.square().sum()
        (gradient,) = torch.autograd.grad(value, row)
        return value.item(), gradient[0].numpy()

    return gradient_of


def main() -> None:
    """Tell the time of a minimum by each, and the ratio."""
    torch.set_num_threads(1)
    rows = []
    for width in (16, 32, 64, 128):
        ours, theirs, ratios = [], [], []
        values, found = np.empty(0), np.empty((0, 2))
        for _ in range(3):
            pack = pack_of(width)
            engine = make_engine(pack)
            assert isinstance(engine, MinimiserEngine)
            starts = engine.theta_KP.numpy().copy()
            start = time.perf_counter()
            engine.minimisation.solver.minimise(20_000)
            ours.append((time.perf_counter() - start) / SEEDS)
            values = engine.minimisation.solver.value
            start = time.perf_counter()
            found = by_scipy(starts, torch_gradient(pack))
            theirs.append((time.perf_counter() - start) / SEEDS)
            ratios.append(theirs[-1] / ours[-1])
        packed, scipy, ratio = (statistics.median(each) for each in (ours, theirs, ratios))
        apart = np.max(values / found[:, 0])
        rows.append([width, f"{packed:.3g} s", f"{scipy:.3g} s", f"{ratio:.1f}x", f"{apart:.6f}"])
    head = [
        "width",
        "packed",
        "SciPy's L-BFGS-B on torch",
        "ratio",
        "objective over SciPy's",
    ]
    tell("minimiser", table(head, rows))


if __name__ == "__main__":
    main()
