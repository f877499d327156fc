"""What compiled kernels gain for a module of linear layers of the user's own, on one thread.

Tells what a step of one run takes in packs of 32, batches of 32, Adam: a module of two hidden
layers by the compiled kernels, in one call of `torch.func.vmap` and one after another by the torch
engine, and the built-in network of the same layers. Ratios are medians over rounds, each round
timing all of them one after the other. Name widths to measure these alone, for the terminal:
`python tests/benchmarks/own_dense.py 16 64`.
"""

import sys
from typing import Any

import torch
from documented import table, tell
from rounds import time_rounds, torch_engine
from torch import nn

from symstudy.study import PackConfig, Run, make_study
from symstudy.training.loop import make_engine, make_pack

WIDTHS = (16, 64, 256)
RUNS = 32
BATCH = 32


class Mlp(nn.Module):
    """Two hidden layers, as in a tutorial."""

    def __init__(self, input_dim: int, output_dim: int, width: int) -> None:
        """Build the layers."""
        super().__init__()
        self.first = nn.Linear(input_dim, width)
        self.second = nn.Linear(width, width)
        self.last = nn.Linear(width, output_dim)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the outputs."""
        hidden = torch.tanh(self.second(torch.tanh(self.first(x))))
        outputs: torch.Tensor = self.last(hidden)
        return outputs


def runs_of(model: dict[str, Any]) -> list[Run]:
    """Return the runs of one pack."""
    study = make_study(
        {
            "schema": 1,
            "name": "dense",
            "title": "Benchmark of dense modules",
            "model": model,
            "data": {"kind": "teacher_student", "samples": 256, "input_dim": 64},
            "train": {
                "optimizer": "adam",
                "lr": 1e-4,
                "gamma": 1e-3,
                "steps": 1_000_000,
                "batch_size": BATCH,
            },
            "sweep": {"seed": RUNS},
        }
    )
    return study.runs()


def measure(width: int) -> list[str]:
    """Return cells of a table: microseconds a step and run, and how many times as long."""
    own = runs_of({"kind": "own_dense:Mlp", "width": width})
    fcn = runs_of({"kind": "fcn", "width": width, "depth": 3, "activation": "tanh"})
    compiled = PackConfig(device="cpu", engine="compiled")
    ways: dict[str, Any] = {
        "compiled": make_engine(make_pack(own, compiled)),
        "vmap": torch_engine(own, "always"),
        "apart": torch_engine(own, "never"),
        "fcn": make_engine(make_pack(fcn, compiled)),
    }
    assert ways["compiled"].theta_KP.shape == ways["fcn"].theta_KP.shape, "the same layers"
    found = time_rounds(ways, dict.fromkeys(ways, RUNS))
    times = [f"{found.median(way):,.1f}" for way in ways]
    return [*times, *(f"{found.over(way, 'compiled'):.1f}" for way in ("vmap", "apart"))]


def main() -> None:
    """Tell the table; of some widths, if they are given."""
    torch.set_num_threads(1)
    wanted = [int(each) for each in sys.argv[1:]]
    rows = []
    for width in wanted or WIDTHS:
        rows.append([str(width), *measure(width)])
        print(*rows[-1], flush=True)
    head = ["width", "compiled", "vmap", "one by one", "built-in", "over vmap"]
    shown = table([*head, "over one by one"], rows)
    if wanted:
        print(shown)
    else:
        # A part of the table would replace the whole in the documents.
        tell("own_dense", shown)


if __name__ == "__main__":
    main()
