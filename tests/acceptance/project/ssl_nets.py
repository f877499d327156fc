# ssl_nets.py
import torch
from torch import nn


class Projector(nn.Module):
    """Two views of each image, encoded and projected (Chen et al. 2020)."""

    def __init__(self, channels=3, width=8, projected=8, jitter=0.2):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(channels, width, 3, stride=4, padding=1),
            nn.GroupNorm(2, width),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(4),
            nn.Flatten(),
        )
        self.projector = nn.Sequential(
            nn.Linear(16 * width, projected), nn.ReLU(), nn.Linear(projected, projected)
        )
        self.jitter = jitter

    def forward(self, x):
        first = x + self.jitter * torch.randn_like(x)
        second = x + self.jitter * torch.randn_like(x)
        return {"z1": self.project(first), "z2": self.project(second)}

    def project(self, x):
        return self.projector(self.encoder(x))


def nt_xent(views, targets):
    """InfoNCE of each sample against the others of its batch, temperature 0.5; no labels."""
    z1, z2 = (nn.functional.normalize(views[name], dim=2) for name in ("z1", "z2"))
    similar = z1 @ z2.transpose(1, 2) / 0.5
    return similar.logsumexp(dim=2) - similar.diagonal(dim1=1, dim2=2)
