"""What compiled kernels and packing gain for networks of convolutions, on one thread.

Tells, for each network, what a step of one run takes in a plain torch loop (the same module,
autograd and `torch.optim.SGD`, one run after another) and in packs of eight: by the compiled
kernels, by one call of `torch.func.vmap`, and one after another by the torch engine. Ratios are
medians over rounds, each round timing all of them one after the other. Name widths to measure these
alone, for the terminal: `python tests/benchmarks/convolution.py 8 16`.
"""

import sys
from typing import Any

import torch
from documented import table, tell
from rounds import time_rounds, torch_engine

from symstudy.models.own.network import OwnModel
from symstudy.study import PackConfig, Run, make_study
from symstudy.training.loop import make_engine, make_pack

NETWORKS: dict[str, dict[str, Any]] = {
    "cnn, 4 convolutions, 8 x 8 pixels": {
        "model": {"kind": "cnn", "layers": 4, "input_shape": [1, 8, 8]},
        "data": {"input_dim": 64},
    },
    "cnn, 4 convolutions, 16 x 16 pixels": {
        "model": {"kind": "cnn", "layers": 4, "input_shape": [3, 16, 16]},
        "data": {"input_dim": 768},
    },
    "resnet, 3 stages of 1 block, 16 x 16 pixels": {
        "model": {"kind": "resnet", "stages": 3, "blocks": 1, "input_shape": [3, 16, 16]},
        "data": {"input_dim": 768},
    },
}
WIDTHS = (8, 16, 32, 64)
WIDEST = 64
"""Channels of the widest layer that is measured: torch trains what is wider."""
RUNS = 8
BATCH = 32


class PlainLoop:
    """One run, trained by torch's own means."""

    def __init__(self, run: Run) -> None:
        """Build module, optimiser and one batch, which stands for all."""
        model = make_pack([run], PackConfig(device="cpu")).model
        assert isinstance(model, OwnModel), "convolutions are modules"
        self.net = model.factory.make(0).train()
        train = run.cell.train
        self.optimizer = torch.optim.SGD(
            self.net.parameters(), lr=train.lr, momentum=0.9, weight_decay=2 * train.gamma
        )
        self.x = torch.randn(train.batch_size, *model.data.input_shape)
        self.y = torch.randn(train.batch_size, run.cell.data.shape.outputs)

    def advance(self, first: int, steps: int) -> None:
        """Take `steps` steps."""
        del first
        for _ in range(steps):
            self.optimizer.zero_grad(set_to_none=True)
            loss = (self.net(self.x) - self.y).square().sum(dim=1).mean()
            loss.backward()
            self.optimizer.step()


def runs_of(tables: dict[str, Any], width: int) -> list[Run]:
    """Return the runs of one pack."""
    study = make_study(
        {
            "schema": 1,
            "name": "convolution",
            "title": "Benchmark of convolutions",
            "model": {**tables["model"], "width": width},
            "data": {
                "kind": "teacher_student",
                "samples": 256,
                "test_samples": 32,
                **tables["data"],
            },
            "train": {
                "optimizer": "sgd",
                "momentum": 0.9,
                "lr": 1e-4,
                "gamma": 1e-3,
                "steps": 1_000_000,
                "batch_size": BATCH,
            },
            "sweep": {"seed": RUNS},
        }
    )
    return study.runs()


def widest(tables: dict[str, Any], width: int) -> int:
    """Return the channels of a network's widest layer: stages of a residual network double them."""
    return int(width * 2 ** (tables["model"].get("stages", 1) - 1))


def measure(tables: dict[str, Any], width: int) -> list[str]:
    """Return cells of a table: microseconds a step and run, and how many times as long."""
    runs = runs_of(tables, width)
    ways: dict[str, Any] = {
        "loop": PlainLoop(runs[0]),
        "compiled": make_engine(make_pack(runs, PackConfig(device="cpu", engine="compiled"))),
        "vmap": torch_engine(runs, "always"),
        "apart": torch_engine(runs, "never"),
    }
    # The plain loop trains one run.
    found = time_rounds(ways, {way: 1 if way == "loop" else RUNS for way in ways})
    times = [f"{found.median(way):,.0f}" for way in ("loop", "compiled", "vmap", "apart")]
    return [*times, *(f"{found.over(way, 'compiled'):.1f}" for way in ("loop", "vmap"))]


def main() -> None:
    """Tell the table; of some widths, if they are given."""
    torch.set_num_threads(1)
    wanted = [int(each) for each in sys.argv[1:]]
    rows = []
    for name, tables in NETWORKS.items():
        for width in wanted or WIDTHS:
            if widest(tables, width) <= WIDEST:
                rows.append([name, str(width), *measure(tables, width)])
                print(*rows[-1], flush=True)
    head = ["network", "channels", "plain loop", "compiled", "vmap", "one by one"]
    shown = table([*head, "over the loop", "over vmap"], rows)
    if wanted:
        print(shown)
    else:
        # A part of the table would replace the whole in the documents.
        tell("convolution", shown)


if __name__ == "__main__":
    main()
