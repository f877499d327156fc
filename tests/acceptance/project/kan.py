# kan.py
import torch
from torch import nn


class KANLayer(nn.Module):
    """Each edge is a spline of its own beside a silu (Liu et al. 2024)."""

    def __init__(self, inputs, outputs, grid=5, order=3, reach=2.0):
        super().__init__()
        step = 2 * reach / grid
        knots = torch.arange(-order, grid + order + 1) * step - reach
        self.register_buffer("knots", knots)
        self.order = order
        self.base = nn.Linear(inputs, outputs)
        self.spline = nn.Parameter(0.1 * torch.randn(outputs, inputs, grid + order))

    def bases(self, x):
        x = x.unsqueeze(-1)
        knots = self.knots
        found = ((x >= knots[:-1]) & (x < knots[1:])).to(x.dtype)
        for k in range(1, self.order + 1):
            left = (x - knots[: -k - 1]) / (knots[k:-1] - knots[: -k - 1])
            right = (knots[k + 1 :] - x) / (knots[k + 1 :] - knots[1:-k])
            found = left * found[..., :-1] + right * found[..., 1:]
        return found

    def forward(self, x):
        curved = torch.einsum("big,oig->bo", self.bases(x), self.spline)
        return self.base(nn.functional.silu(x)) + curved


class KAN(nn.Sequential):
    def __init__(self, input_dim, output_dim, width=4, grid=5):
        super().__init__(KANLayer(input_dim, width, grid), KANLayer(width, output_dim, grid))
