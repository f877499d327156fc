"""Networks with the structure of public ones, small: what a user brings without a layout.

Each is written after the architecture that it names (torchvision's ResNet18, timm's ViT and
MLP-Mixer, nanoGPT, a KAN of B-splines and of radial functions, LeNet), with the same modules in the
same order and few channels.
"""

import math

import torch
from torch import nn
from torch.nn import functional


class BasicBlock(nn.Module):
    """A residual block of two convolutions."""

    def __init__(self, channels, width, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = None
        if stride != 1 or channels != width:
            self.downsample = nn.Sequential(
                nn.Conv2d(channels, width, 1, stride, bias=False), nn.BatchNorm2d(width)
            )

    def forward(self, x):
        identity = x if self.downsample is None else self.downsample(x)
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += identity
        return self.relu(out)


class ResNet18(nn.Module):
    """torchvision.models.resnet18, `width` channels instead of 64."""

    def __init__(self, width=4, num_classes=3, stages=4):
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        widths = [width * 2**at for at in range(stages)]
        self.layers = nn.ModuleList(
            nn.Sequential(BasicBlock(before, own, stride), BasicBlock(own, own, 1))
            for before, own, stride in zip(
                [width, *widths], widths, [1, *[2] * (stages - 1)], strict=False
            )
        )
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(widths[-1], num_classes)

    def forward(self, x):
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        for layer in self.layers:
            x = layer(x)
        return self.fc(torch.flatten(self.avgpool(x), 1))


class FusedAttention(nn.Module):
    """timm's attention: queries, keys and values of all heads are one matrix."""

    def __init__(self, dim, num_heads, *, fused=True):
        super().__init__()
        self.num_heads, self.fused = num_heads, fused
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x):
        samples, tokens, dim = x.shape
        head = dim // self.num_heads
        qkv = self.qkv(x).reshape(samples, tokens, 3, self.num_heads, head).permute(2, 0, 3, 1, 4)
        q, k, v = qkv.unbind(0)
        if self.fused:
            x = functional.scaled_dot_product_attention(q, k, v)
        else:
            x = ((q * head**-0.5) @ k.transpose(-2, -1)).softmax(dim=-1) @ v
        return self.proj(x.transpose(1, 2).reshape(samples, tokens, dim))


class VitBlock(nn.Module):
    """A layer of a vision transformer: attention and MLP, each normalised first."""

    def __init__(self, dim, num_heads, mlp, *, fused):
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=1e-6)
        self.attn = FusedAttention(dim, num_heads, fused=fused)
        self.norm2 = nn.LayerNorm(dim, eps=1e-6)
        self.fc1, self.fc2 = nn.Linear(dim, mlp), nn.Linear(mlp, dim)

    def forward(self, x):
        x = x + self.attn(self.norm1(x))
        return x + self.fc2(functional.gelu(self.fc1(self.norm2(x))))


class Vit(nn.Module):
    """timm.models.vision_transformer: class token, learned positions, the token is read out."""

    def __init__(self, dim=8, num_heads=2, mlp=6, depth=2, *, fused=True):
        super().__init__()
        self.patch_embed = nn.Conv2d(3, dim, 4, 4)
        self.cls_token = nn.Parameter(0.1 * torch.randn(1, 1, dim))
        self.pos_embed = nn.Parameter(0.1 * torch.randn(1, 5, dim))
        self.blocks = nn.Sequential(
            *(VitBlock(dim, num_heads, mlp, fused=fused) for _ in range(depth))
        )
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        self.head = nn.Linear(dim, 3)

    def forward(self, x):
        x = self.patch_embed(x).flatten(2).transpose(1, 2)
        x = torch.cat((self.cls_token.expand(x.shape[0], -1, -1), x), dim=1) + self.pos_embed
        return self.head(self.norm(self.blocks(x))[:, 0])


class CausalSelfAttention(nn.Module):
    """nanoGPT's attention: one matrix that is split, and a mask."""

    bias: torch.Tensor

    def __init__(self, dim, heads, block_size):
        super().__init__()
        self.n_embd, self.n_head = dim, heads
        self.c_attn = nn.Linear(dim, 3 * dim, bias=False)
        self.c_proj = nn.Linear(dim, dim, bias=False)
        mask = torch.tril(torch.ones(block_size, block_size))
        self.register_buffer("bias", mask.view(1, 1, block_size, block_size))

    def forward(self, x):
        samples, tokens, dim = x.size()
        q, k, v = self.c_attn(x).split(self.n_embd, dim=2)
        shape = (samples, tokens, self.n_head, dim // self.n_head)
        q, k, v = (each.view(*shape).transpose(1, 2) for each in (q, k, v))
        att = (q @ k.transpose(-2, -1)) * (1.0 / math.sqrt(k.size(-1)))
        att = att.masked_fill(self.bias[:, :, :tokens, :tokens] == 0, float("-inf"))
        y = functional.softmax(att, dim=-1) @ v
        return self.c_proj(y.transpose(1, 2).contiguous().view(samples, tokens, dim))


class GptLayerNorm(nn.Module):
    """nanoGPT's LayerNorm, with a bias or without."""

    def __init__(self, dim, *, bias=False):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))
        self.bias = nn.Parameter(torch.zeros(dim)) if bias else None

    def forward(self, x):
        return functional.layer_norm(x, self.weight.shape, self.weight, self.bias, 1e-5)


class GptBlock(nn.Module):
    """nanoGPT's layer."""

    def __init__(self, dim, heads, block_size):
        super().__init__()
        self.ln_1, self.ln_2 = GptLayerNorm(dim), GptLayerNorm(dim)
        self.attn = CausalSelfAttention(dim, heads, block_size)
        self.c_fc = nn.Linear(dim, 4 * dim, bias=False)
        self.c_proj = nn.Linear(4 * dim, dim, bias=False)

    def forward(self, x):
        x = x + self.attn(self.ln_1(x))
        return x + self.c_proj(functional.gelu(self.c_fc(self.ln_2(x))))


class NanoGpt(nn.Module):
    """nanoGPT, without biases, its table of tokens tied to the readout."""

    def __init__(self, vocabulary=7, dim=6, heads=2, depth=1, block_size=5):
        super().__init__()
        self.wte, self.wpe = nn.Embedding(vocabulary, dim), nn.Embedding(block_size, dim)
        self.h = nn.ModuleList(GptBlock(dim, heads, block_size) for _ in range(depth))
        self.ln_f = GptLayerNorm(dim)
        self.lm_head = nn.Linear(dim, vocabulary, bias=False)
        self.wte.weight = self.lm_head.weight

    def forward(self, idx):
        x = self.wte(idx) + self.wpe(torch.arange(idx.shape[1], device=idx.device))
        for block in self.h:
            x = block(x)
        return self.lm_head(self.ln_f(x))


class MixerBlock(nn.Module):
    """timm's MLP-Mixer layer: over tokens, then over channels."""

    def __init__(self, dim, tokens, token_mlp, channel_mlp):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.tokens = nn.Sequential(
            nn.Linear(tokens, token_mlp), nn.GELU(), nn.Linear(token_mlp, tokens)
        )
        self.channels = nn.Sequential(
            nn.Linear(dim, channel_mlp), nn.GELU(), nn.Linear(channel_mlp, dim)
        )

    def forward(self, x):
        x = x + self.tokens(self.norm1(x).transpose(1, 2)).transpose(1, 2)
        return x + self.channels(self.norm2(x))


class Mixer(nn.Module):
    """timm.models.mlp_mixer."""

    def __init__(self, dim=6, token_mlp=5, channel_mlp=7):
        super().__init__()
        self.stem = nn.Conv2d(3, dim, 4, 4)
        self.blocks = nn.Sequential(MixerBlock(dim, 4, token_mlp, channel_mlp))
        self.norm = nn.LayerNorm(dim)
        self.head = nn.Linear(dim, 3)

    def forward(self, x):
        x = self.stem(x).flatten(2).transpose(1, 2)
        return self.head(self.norm(self.blocks(x)).mean(dim=1))


class KanLayer(nn.Module):
    """A layer of efficient-kan: a base weight, and a B-spline on every edge."""

    grid: torch.Tensor

    def __init__(self, inputs, outputs, grid=3, order=2):
        super().__init__()
        self.order = order
        knots = torch.arange(-order, grid + order + 1) * (2.0 / grid) - 1.0
        self.register_buffer("grid", knots.expand(inputs, -1).contiguous())
        self.base_weight = nn.Parameter(torch.randn(outputs, inputs))
        self.spline_weight = nn.Parameter(torch.randn(outputs, inputs, grid + order))

    def b_splines(self, x):
        x = x.unsqueeze(-1)
        grid = self.grid
        bases = ((x >= grid[:, :-1]) & (x < grid[:, 1:])).to(x.dtype)
        for k in range(1, self.order + 1):
            left = (x - grid[:, : -(k + 1)]) / (grid[:, k:-1] - grid[:, : -(k + 1)])
            right = (grid[:, k + 1 :] - x) / (grid[:, k + 1 :] - grid[:, 1:-k])
            bases = left * bases[:, :, :-1] + right * bases[:, :, 1:]
        return bases

    def forward(self, x):
        base = functional.linear(functional.silu(x), self.base_weight)
        spline = functional.linear(self.b_splines(x).flatten(1), self.spline_weight.flatten(1))
        return base + spline


class Kan(nn.Module):
    """Two such layers."""

    def __init__(self, inputs=3, hidden=5, outputs=2):
        super().__init__()
        self.layers = nn.Sequential(KanLayer(inputs, hidden), KanLayer(hidden, outputs))

    def forward(self, x):
        return self.layers(x)


class RadialKan(nn.Module):
    """Two layers of FastKAN: radial functions on every edge, summed by `einsum`."""

    def __init__(self, inputs=3, hidden=5, outputs=2, grid=4):
        super().__init__()
        self.register_buffer("centres", torch.linspace(-1.0, 1.0, grid))
        self.first = nn.Parameter(torch.randn(hidden, inputs, grid))
        self.last = nn.Parameter(torch.randn(outputs, hidden, grid))

    def forward(self, x):
        for weight in (self.first, self.last):
            bases = torch.exp(-((x[..., None] - self.centres) ** 2))
            x = torch.einsum("big,oig->bo", bases, weight)
        return x


class LeNet(nn.Module):
    """LeNet-5 with tanh or ReLU, on one-channel images of 12 x 12."""

    def __init__(self, activation=torch.tanh, sizes=(3, 4, 8, 6)):
        super().__init__()
        self.activation = activation
        a, b, c, d = sizes
        self.conv1, self.conv2 = nn.Conv2d(1, a, 3, padding=1), nn.Conv2d(a, b, 3)
        self.fc1, self.fc2, self.fc3 = nn.Linear(4 * b, c), nn.Linear(c, d), nn.Linear(d, 3)

    def forward(self, x):
        x = functional.avg_pool2d(self.activation(self.conv1(x)), 2)
        x = functional.avg_pool2d(self.activation(self.conv2(x)), 2)
        x = self.activation(self.fc1(torch.flatten(x, 1)))
        return self.fc3(self.activation(self.fc2(x)))


class Recurrent(nn.Module):
    """An LSTM with a readout of its last state."""

    def __init__(self, inputs=3, hidden=4, outputs=2):
        super().__init__()
        self.lstm = nn.LSTM(inputs, hidden, batch_first=True)
        self.head = nn.Linear(hidden, outputs)

    def forward(self, x):
        return self.head(self.lstm(x)[0][:, -1])
