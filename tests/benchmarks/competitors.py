"""What packed training is measured against: a plain torch loop, and JAX's vmap and scan."""

import os
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import torch
from torch import nn
from workload import DIM

from symstudy.study import PackConfig, Run
from symstudy.training.loop import make_engine, make_pack

__all__ = ["jax_pack", "matrix_rate", "packed", "plain_run"]

Call = Callable[[], object]


def packed(runs: list[Run], steps: int, engine: Literal["compiled", "torch"]) -> Call:
    """Return a call that trains `runs` for `steps` steps as one pack."""
    trained = make_engine(make_pack(runs, PackConfig(device="cpu", engine=engine)))
    return lambda: trained.advance(0, steps)


def plain_run(run: Run, steps: int) -> Call:
    """Return a call that trains one run as one writes it in torch: module, optimiser, loop."""
    torch.set_num_threads(1)
    pack = make_pack([run], PackConfig(device="cpu"))
    width = run.cell.model.value("width")  # the benchmark's is fcn
    module = nn.Sequential(
        nn.Linear(DIM, width), nn.Tanh(), nn.Linear(width, width), nn.Tanh(), nn.Linear(width, DIM)
    )
    train = run.cell.train
    optimizer: torch.optim.Optimizer = (
        torch.optim.SGD(module.parameters(), train.lr, weight_decay=2 * train.gamma)
        if train.optimizer.kind == "sgd"
        else torch.optim.Adam(module.parameters(), train.lr, weight_decay=2 * train.gamma)
    )
    x = torch.from_numpy(pack.data.train.x[0])
    y = torch.from_numpy(pack.data.train.y[0])

    def loop() -> None:
        block = pack.data.block(0, steps)
        rows = torch.from_numpy(block.rows[0]).long()
        for s in range(steps):
            optimizer.zero_grad(set_to_none=True)
            loss = (module(x[rows[s]]) - y[rows[s]]).square().sum(dim=1).mean()
            loss.backward()
            optimizer.step()

    return loop


def jax_pack(runs: list[Run], steps: int) -> Call:
    """Return a call that trains `runs` by `jax.vmap` and `lax.scan` under `jit`, on one thread."""
    os.environ.setdefault(
        "XLA_FLAGS",
        "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
    )
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    import jax
    import jax.numpy as jnp

    pack = make_pack(runs, PackConfig(device="cpu"))
    width = runs[0].cell.model.value("width")
    sizes = [(DIM, width), (width, width), (width, DIM)]
    rng = np.random.default_rng(0)
    parameters = [
        (
            jnp.asarray(rng.normal(size=(len(runs), i, o)) / i**0.5, jnp.float32),
            jnp.zeros((len(runs), o), jnp.float32),
        )
        for i, o in sizes
    ]
    rate = jnp.asarray(pack.lane_values("lr"), jnp.float32)
    decay = jnp.asarray(2 * pack.lane_values("gamma"), jnp.float32)
    optimizer = runs[0].cell.train.optimizer.kind
    x = jnp.asarray(pack.data.train.x)
    y = jnp.asarray(pack.data.train.y)
    lanes = jnp.asarray(pack.data.train.lane_x)
    rows = jnp.asarray(pack.data.block(0, steps).rows)

    def loss(layers: Any, inputs: Any, targets: Any) -> Any:
        for weight, bias in layers[:-1]:
            inputs = jnp.tanh(inputs @ weight + bias)
        weight, bias = layers[-1]
        return ((inputs @ weight + bias - targets) ** 2).sum(axis=1).mean()

    gradient = jax.vmap(jax.grad(loss))

    def wide(lane: Any, leaf: Any) -> Any:
        return lane.reshape(-1, *[1] * (leaf.ndim - 1))

    def step(state: Any, s: Any) -> Any:
        layers, first, second, time = state
        chosen = rows[:, s][lanes]
        slopes = gradient(layers, x[lanes[:, None], chosen], y[lanes[:, None], chosen])
        slopes = jax.tree.map(lambda g, w: g + wide(decay, w) * w, slopes, layers)
        time = time + 1
        if optimizer == "sgd":
            layers = jax.tree.map(lambda w, g: w - wide(rate, w) * g, layers, slopes)
        else:
            first = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, first, slopes)
            second = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, second, slopes)
            layers = jax.tree.map(
                lambda w, m, v: (
                    w
                    - wide(rate, w)
                    * (m / (1 - 0.9**time))
                    / (jnp.sqrt(v / (1 - 0.999**time)) + 1e-8)
                ),
                layers,
                first,
                second,
            )
        return (layers, first, second, time), None

    zeros = jax.tree.map(jnp.zeros_like, parameters)
    start = (parameters, zeros, zeros, jnp.float32(0))
    train = jax.jit(lambda state: jax.lax.scan(step, state, jnp.arange(steps))[0])
    wait: Any = jax.block_until_ready
    return lambda: wait(train(start))


def matrix_rate() -> float:
    """Return the operations a second of torch's own product of 1024 x 1024 matrices, one thread."""
    import time

    torch.set_num_threads(1)
    a, b = torch.randn(1024, 1024), torch.randn(1024, 1024)
    rates = []
    for _ in range(7):
        start = time.perf_counter()
        for _ in range(4):
            a @ b
        rates.append(4 * 2 * 1024**3 / (time.perf_counter() - start))
    return float(np.median(rates))
