"""What packing gains for transformers on the CPU, in the compiled kernels and in torch, one thread.

Competitors are a plain torch loop (the same network of `nn.Linear` and torch's own attention, its
autograd and `torch.optim.Adam`, on a batch of the same size), and JAX's vmap and scan where it is
installed. Prints for each size and number of runs what a step of one run takes in each, and how
many times as long as compiled the others take: the median over rounds of the ratio, each round
timing them one after the other, in time of the processor.

`python tests/benchmarks/transformer.py 'width 32' 8` measures packs of 8 of one size alone.
"""

import statistics
import sys
import time
from collections.abc import Callable
from typing import Any, Literal

import torch
from documented import table, tell
from torch import Tensor, nn
from transformer_jax import jax_transformers

from symstudy.study import PackConfig, Run, make_study
from symstudy.training.loop import make_engine, make_pack

IN_CONTEXT: dict[str, Any] = {
    "model": {"width": 16, "heads": 1, "head_dim": 16, "bias": False},
    "data": {"kind": "in_context", "length": 8, "token_dim": 4, "fresh": True},
}
DIGITS: dict[str, Any] = {"mlp_width": 64, "norm": "layernorm", "positions": True, "pool": "mean"}
SIZES: dict[str, dict[str, Any]] = {
    "8 tokens, width 16, 1 head of 16, batches of 64": {
        **IN_CONTEXT,
        "train": {"batch_size": 64},
    },
    "the same, batches of 8": {**IN_CONTEXT, "train": {"batch_size": 8}},
    "16 tokens, width 32, 4 heads of 8, MLP of 64, batches of 50": {
        "model": {**DIGITS, "width": 32, "heads": 4, "head_dim": 8},
        "data": {"kind": "digits", "patch": 2},
        "train": {"batch_size": 50},
    },
    "16 tokens, width 64, 4 heads of 16, MLP of 128, batches of 32": {
        "model": {**DIGITS, "width": 64, "heads": 4, "head_dim": 16, "mlp_width": 128},
        "data": {"kind": "digits", "patch": 2},
        "train": {"batch_size": 32},
    },
    "16 tokens, width 128, 8 heads of 16, MLP of 256, batches of 32": {
        "model": {**DIGITS, "width": 128, "heads": 8, "head_dim": 16, "mlp_width": 256},
        "data": {"kind": "digits", "patch": 2},
        "train": {"batch_size": 32},
    },
}
RUNS = (8, 32)
ROUNDS = 5
ROUND_S = 0.1
"""Time of a round of one competitor, about."""


class Plain(nn.Module):
    """The network of one run as one would write it."""

    def __init__(self, model: Any, token_dim: int, outputs: int, tokens: int) -> None:
        """Build the network of the configuration `model`."""
        super().__init__()
        self.model = model
        width, inner = model.width, model.heads * model.head_dim
        self.tokens = tokens
        self.embed = nn.Linear(token_dim, width, bias=model.bias)
        self.positions = nn.Parameter(torch.zeros(tokens, width)) if model.positions else None
        self.qkv = nn.ModuleList(
            nn.Linear(width, 3 * inner, bias=model.bias) for _ in range(model.layers)
        )
        self.output = nn.ModuleList(
            nn.Linear(inner, width, bias=model.bias) for _ in range(model.layers)
        )
        self.mlp = nn.ModuleList(
            nn.Sequential(
                nn.Linear(width, model.mlp_width), nn.GELU(), nn.Linear(model.mlp_width, width)
            )
            for _ in range(model.layers if model.mlp_width else 0)
        )
        self.norm = (
            nn.LayerNorm(width, elementwise_affine=False)
            if model.norm == "layernorm"
            else nn.Identity()
        )
        self.readout = nn.Linear(width, outputs, bias=model.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs of a batch."""
        model = self.model
        h = self.embed(x.view(len(x), self.tokens, -1))
        if self.positions is not None:
            h = h + self.positions
        for layer in range(model.layers):
            heads = self.qkv[layer](self.norm(h)).view(
                len(x), self.tokens, 3, model.heads, model.head_dim
            )
            q, k, v = heads.permute(2, 0, 3, 1, 4)
            read = nn.functional.scaled_dot_product_attention(q, k, v)
            h = h + self.output[layer](read.transpose(1, 2).flatten(2))
            if model.mlp_width:
                h = h + self.mlp[layer](self.norm(h))
        h = self.norm(h)
        pooled: Tensor = self.readout(h[:, -1] if model.pool == "last" else h.mean(dim=1))
        return pooled


class PlainLoop:
    """One run, trained by torch's own means."""

    def __init__(self, run: Run) -> None:
        """Build network, optimiser and one batch, which stands for all."""
        shape = run.cell.data.shape
        tokens = shape.tokens
        self.net = Plain(run.cell.model, shape.inputs // tokens, shape.outputs, tokens)
        train = run.cell.train
        self.optimizer = torch.optim.Adam(
            self.net.parameters(), lr=train.lr, weight_decay=2 * train.gamma
        )
        self.x = torch.randn(train.batch_size, shape.inputs)
        self.y = torch.randn(train.batch_size, shape.outputs)
        self.is_classification = shape.is_classification
        self.labels = self.y.argmax(dim=1)

    def advance(self, steps: int) -> None:
        """Take `steps` steps."""
        for _ in range(steps):
            self.optimizer.zero_grad(set_to_none=True)
            output = self.net(self.x)
            if self.is_classification:
                loss = nn.functional.cross_entropy(output, self.labels)
            else:
                loss = (output - self.y).square().sum(dim=1).mean()
            loss.backward()  # type: ignore[no-untyped-call]  # torch has no types for it
            self.optimizer.step()


def packed(runs: list[Run], engine: Literal["compiled", "torch"]) -> Callable[[int], object]:
    """Return a call that trains `runs` as one pack for so many steps."""
    trained = make_engine(make_pack(runs, PackConfig(device="cpu", engine=engine)))
    return lambda steps: trained.advance(0, steps)


def seconds(work: Callable[[int], object], steps: int) -> float:
    """Return how long one of `steps` steps of `work` takes, in time of the processor."""
    start = time.process_time()
    work(steps)
    return (time.process_time() - start) / steps


def fitting_steps(work: Callable[[int], object]) -> int:
    """Return how many steps of `work` fill a round."""
    work(2)
    return max(2, int(ROUND_S / seconds(work, 2)))


def competitors(
    runs: list[Run], *, with_jax: bool
) -> dict[str, tuple[Callable[[int], object], int]]:
    """Return what each competitor does with a number of steps, and the steps of a round."""
    found: dict[str, Callable[[int], object]] = {
        "compiled": packed(runs, "compiled"),
        "packed torch": packed(runs, "torch"),
        "plain torch": PlainLoop(runs[0]).advance,
    }
    calls = {name: (work, fitting_steps(work)) for name, work in found.items()}
    if with_jax:
        steps = calls["compiled"][1]
        scan = jax_transformers(runs, steps)
        scan()
        calls["jax"] = (lambda _: scan(), steps)
    return calls


def measure(runs: list[Run], *, with_jax: bool) -> dict[str, str]:
    """Return a row of the table: microseconds a step and run, and the ratios to compiled."""
    calls = competitors(runs, with_jax=with_jax)
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(ROUNDS):
        for name, (work, steps) in calls.items():
            # The plain loop trains one run.
            count = 1 if name == "plain torch" else len(runs)
            times[name].append(seconds(work, steps) / count * 1e6)
    ours = times["compiled"]
    row = {name: f"{statistics.median(each):,.0f}" for name, each in times.items()}
    for name in list(calls)[1:]:
        gain = statistics.median(a / b for a, b in zip(times[name], ours, strict=True))
        row[name] += f" ({gain:.1f}x)"
    return row


def main() -> None:
    """Tell the table; print the rows of one size and number of runs, if they are given."""
    try:
        import jax  # noqa: F401

        with_jax = True
    except ImportError:
        with_jax = False
        print("jax is not installed; install the dependency group `bench` to compare with it")
    torch.set_num_threads(1)
    wanted = sys.argv[1] if len(sys.argv) > 1 else ""
    counts = [int(each) for each in sys.argv[2:]] or list(RUNS)
    rows: list[list[Any]] = []
    head: list[str] = []
    for name, tables in SIZES.items():
        if wanted not in name:
            continue
        study = make_study(
            {
                "schema": 1,
                "name": "transformer",
                "title": "Benchmark of transformers",
                "model": {"kind": "transformer", "layers": 2, **tables["model"]},
                "data": tables["data"],
                "train": {"lr": 1e-3, "gamma": 1e-3, "steps": 1_000_000, **tables["train"]},
                "sweep": {"seed": max(counts)},
            }
        )
        runs = study.runs()
        for count in counts:
            row = measure(list(runs[:count]), with_jax=with_jax)
            head = ["network, batch", "runs", *row]
            rows.append([name if count == counts[0] else "", count, *row.values()])
            print(*rows[-1], flush=True)
    if not wanted:
        tell("transformer", table(head, rows))


if __name__ == "__main__":
    main()
