"""ResNet-18 as in torchvision, for where torchvision is not installed.

References:
    He, Zhang, Ren and Sun (2015), Deep residual learning for image recognition, table 1.
"""

import torch
from torch import Tensor, nn

__all__ = ["resnet18"]


class BasicBlock(nn.Module):
    """Two convolutions of 3x3 with batch norm, and a way past them."""

    def __init__(self, channels: int, planes: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, planes, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.downsample: nn.Module | None = None
        if stride != 1 or channels != planes:
            self.downsample = nn.Sequential(
                nn.Conv2d(channels, planes, 1, stride, bias=False), nn.BatchNorm2d(planes)
            )

    def forward(self, x: Tensor) -> Tensor:
        hidden = torch.relu(self.bn1(self.conv1(x)))
        past = x if self.downsample is None else self.downsample(x)
        return torch.relu(self.bn2(self.conv2(hidden)) + past)


def stage(channels: int, planes: int, stride: int) -> nn.Module:
    """Return two blocks, of which the first changes the channels and the size of the image."""
    return nn.Sequential(BasicBlock(channels, planes, stride), BasicBlock(planes, planes, 1))


class ResNet(nn.Module):
    """A stem, four stages of two blocks, and a linear readout of the mean over pixels."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1, self.layer2 = stage(64, 64, 1), stage(64, 128, 2)
        self.layer3, self.layer4 = stage(128, 256, 2), stage(256, 512, 2)
        self.fc = nn.Linear(512, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.maxpool(torch.relu(self.bn1(self.conv1(x))))
        hidden = self.layer4(self.layer3(self.layer2(self.layer1(hidden))))
        out: Tensor = self.fc(hidden.mean(dim=(2, 3)))
        return out


def resnet18(num_classes: int = 1000) -> nn.Module:
    """Return ResNet-18."""
    return ResNet(num_classes)
