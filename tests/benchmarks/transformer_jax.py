"""Transformers by JAX: `vmap` over runs and `scan` over steps under `jit`, on one thread.

JAX is imported where it is used: the benchmark runs without it.
"""

import os
from collections.abc import Callable
from typing import Any

import numpy as np

from symstudy.study import Run

__all__ = ["jax_transformers"]


def jax_transformers(runs: list[Run], steps: int) -> Callable[[], object]:
    """Return a call that trains `runs` for `steps` steps of Adam, each on a batch of its own.

    The network is that of the benchmark, with the last layer for the last token alone where that is
    read out.
    """
    os.environ.setdefault(
        "XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    )
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    import jax
    import jax.numpy as jnp

    cell = runs[0].cell
    shape, train = cell.data.shape, cell.train
    rng = np.random.default_rng(0)
    batch = (len(runs), train.batch_size)
    x = jnp.asarray(rng.normal(size=(*batch, shape.tokens, shape.inputs // shape.tokens)))
    y = jnp.asarray(rng.normal(size=(*batch, shape.outputs)))
    x, y = x.astype(jnp.float32), y.astype(jnp.float32)

    def loss(weights: Any, inputs: Any, targets: Any) -> Any:
        out = outputs(cell.model, weights, inputs)
        if shape.is_classification:
            return -jax.nn.log_softmax(out)[jnp.arange(len(out)), targets.argmax(1)].mean()
        return ((out - targets) ** 2).sum(axis=1).mean()

    gradient = jax.vmap(jax.grad(loss))
    rule = adam(train.lr, 2 * train.gamma)

    def step(state: Any, _: Any) -> Any:
        return rule(state, gradient(state[0], x, y)), None

    parameters = initial(cell.model, shape, len(runs))
    zeros = jax.tree.map(jnp.zeros_like, parameters)
    start = (parameters, zeros, zeros, jnp.float32(0))
    trained = jax.jit(lambda state: jax.lax.scan(step, state, length=steps)[0])
    wait: Any = jax.block_until_ready
    return lambda: wait(trained(start))


def initial(model: Any, shape: Any, runs: int) -> dict[str, Any]:
    """Return normal weights and biases of 0, each with a leading run axis."""
    import jax.numpy as jnp

    rng = np.random.default_rng(1)
    width, inner, neurons = model.width, model.heads * model.head_dim, model.mlp_width

    def weight(n_in: int, n_out: int) -> Any:
        return jnp.asarray(rng.normal(size=(runs, n_in, n_out)) / n_in**0.5, jnp.float32)

    def linear(n_in: int, n_out: int) -> Any:
        bias = (jnp.zeros((runs, n_out), jnp.float32),) if model.bias else ()
        return (weight(n_in, n_out), *bias)

    layers = [
        {
            "query": linear(width, inner),
            "key": (weight(width, inner),),
            "value": (weight(width, inner),),
            "output": linear(inner, width),
            "into": linear(width, neurons) if neurons else (),
            "out": linear(neurons, width) if neurons else (),
        }
        for _ in range(model.layers)
    ]
    return {
        "embed": linear(shape.inputs // shape.tokens, width),
        "positions": weight(shape.tokens, width) if model.positions else (),
        "layers": layers,
        "readout": linear(width, shape.outputs),
    }


def affine(weights: Any, h: Any) -> Any:
    """Return what a linear layer makes of `h`."""
    return h @ weights[0] + (weights[1] if len(weights) > 1 else 0.0)


def normal(model: Any, h: Any) -> Any:
    """Return each token normalised, where the model does so."""
    import jax.numpy as jnp

    if model.norm == "none":
        return h
    centred = h - h.mean(-1, keepdims=True)
    return centred / jnp.sqrt((centred**2).mean(-1, keepdims=True) + 1e-12)


def outputs(model: Any, weights: Any, inputs: Any) -> Any:
    """Return the outputs of one run for `inputs[batch, tokens, token_dim]`."""
    import jax

    h = affine(weights["embed"], inputs)
    h = h + weights["positions"] if model.positions else h
    for number, layer in enumerate(weights["layers"]):
        seen = normal(model, h)
        asking = seen
        if number == model.layers - 1 and model.pool == "last":
            h, asking = h[:, -1:], seen[:, -1:]
        h = h + attention(model, layer, asking, seen)
        if model.mlp_width:
            z = affine(layer["into"], normal(model, h))
            h = h + affine(layer["out"], jax.nn.gelu(z, approximate=False))
    h = normal(model, h)
    return affine(weights["readout"], h[:, -1] if model.pool == "last" else h.mean(1))


def attention(model: Any, layer: Any, asking: Any, seen: Any) -> Any:
    """Return what an attention layer adds to the stream."""
    import jax

    def split(h: Any) -> Any:
        return h.reshape(*h.shape[:2], model.heads, model.head_dim).transpose(0, 2, 1, 3)

    q = split(affine(layer["query"], asking))
    k, v = (split(affine(layer[name], seen)) for name in ("key", "value"))
    share = jax.nn.softmax(q @ k.transpose(0, 1, 3, 2) / model.head_dim**0.5)
    read = (share @ v).transpose(0, 2, 1, 3)
    return affine(layer["output"], read.reshape(*read.shape[:2], -1))


def adam(rate: float, decay: float) -> Callable[[Any, Any], Any]:
    """Return a step of Adam from (weights, moments, time) and the gradient."""
    import jax
    import jax.numpy as jnp

    def step(state: Any, slopes: Any) -> Any:
        weights, first, second, time = state
        slopes = jax.tree.map(lambda g, w: g + decay * w, slopes, weights)
        time = time + 1
        first = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, first, slopes)
        second = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, second, slopes)

        def moved(w: Any, m: Any, v: Any) -> Any:
            size = jnp.sqrt(v / (1 - 0.999**time)) + 1e-8
            return w - rate * (m / (1 - 0.9**time)) / size

        return jax.tree.map(moved, weights, first, second), first, second, time

    return step
