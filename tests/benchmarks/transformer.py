"""What packing gains for transformers: a pack against the same runs one after another, one thread.

The runs alone are a plain torch loop: the same network of `nn.Linear` and torch's own attention,
its autograd and `torch.optim.Adam`, on a batch of the same size. Prints, for each size, what a step
of one run takes in that loop and in packs, and the packing gain: the median over rounds of the
ratio, each round timing them one after the other.
"""

import statistics
import time
from typing import Any

import torch
from documented import table, tell
from torch import Tensor, nn

from symstudy.study import PackConfig, Run, make_study
from symstudy.training.loop import make_engine, make_pack

CONFIG = PackConfig(device="cpu", engine="torch")
SIZES: dict[str, dict[str, Any]] = {
    "in context: 8 tokens, width 16, 1 head of 16, batches of 64": {
        "model": {"width": 16, "heads": 1, "head_dim": 16, "bias": False},
        "data": {"kind": "in_context", "length": 8, "token_dim": 4, "fresh": True},
        "train": {"batch_size": 64},
    },
    "the same, batches of 8": {
        "model": {"width": 16, "heads": 1, "head_dim": 16, "bias": False},
        "data": {"kind": "in_context", "length": 8, "token_dim": 4, "fresh": True},
        "train": {"batch_size": 8},
    },
    "digits: 16 tokens, width 32, 4 heads of 8, MLP of 64, batches of 50": {
        "model": {
            "width": 32,
            "heads": 4,
            "head_dim": 8,
            "mlp_width": 64,
            "norm": "layernorm",
            "positions": True,
            "pool": "mean",
        },
        "data": {"kind": "digits", "patch": 2},
        "train": {"batch_size": 50},
    },
}
RUNS = (1, 8, 32, 96)
ROUNDS = 7
ROUND_S = 0.3
"""Time of a round, about."""


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


def seconds(work: Any, *arguments: int) -> float:
    """Return how long `work` takes."""
    start = time.perf_counter()
    work(*arguments)
    return time.perf_counter() - start


def main() -> None:
    """Tell the table."""
    torch.set_num_threads(1)
    rows = []
    for name, tables in SIZES.items():
        study = make_study(
            {
                "schema": 1,
                "name": "transformer",
                "title": "Benchmark of transformers",
                "model": {"kind": "transformer", "layers": 2, **tables["model"]},
                "data": tables["data"],
                "train": {"lr": 1e-3, "gamma": 1e-3, "steps": 1_000_000, **tables["train"]},
                "sweep": {"seed": max(RUNS)},
            }
        )
        runs = study.runs()
        alone = PlainLoop(runs[0])
        alone.advance(3)
        for count in RUNS:
            engine = make_engine(make_pack(runs[:count], CONFIG))
            first = seconds(engine.advance, 0, 3) / 3
            steps = max(2, int(ROUND_S / first))
            single = max(2, steps * count // 4)
            alone_s, packed_s = [], []
            for _ in range(ROUNDS):
                alone_s.append(seconds(alone.advance, single) / single)
                packed_s.append(seconds(engine.advance, 3, steps) / (steps * count))
            gain = statistics.median(a / b for a, b in zip(alone_s, packed_s, strict=True))
            rows.append(
                [
                    name if count == RUNS[0] else "",
                    count,
                    f"{statistics.median(alone_s) * 1e6:,.0f}",
                    f"{statistics.median(packed_s) * 1e6:,.0f}",
                    f"{gain:.1f}",
                ]
            )
            print(*rows[-1], flush=True)
    head = ["network, batch", "runs", "plain torch", "packed", "packing gain"]
    tell("transformer", table(head, rows))


if __name__ == "__main__":
    main()
