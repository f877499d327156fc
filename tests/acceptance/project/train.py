# train.py
import argparse
from pathlib import Path

import symstudy
import torch

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.1)
parser.add_argument("--width", type=int, default=8)
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--out", type=Path, default=Path())
args = parser.parse_args()

torch.manual_seed(args.seed)
model = torch.nn.Sequential(
    torch.nn.Linear(4, args.width), torch.nn.Tanh(), torch.nn.Linear(args.width, 1)
)
optimizer = torch.optim.SGD(model.parameters(), lr=args.lr)
x = torch.randn(64, 4)
y = x[:, :1] * x[:, 1:2]
start, kept = 0, args.out / "ckpt.pt"
if kept.exists():
    saved = torch.load(kept)
    model.load_state_dict(saved["model"])
    start = saved["step"]
for step in range(start + 1, 31):
    loss = (model(x) - y).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    symstudy.report(step, train_loss=loss)
    if step % 10 == 0:
        torch.save({"model": model.state_dict(), "step": step}, kept)
