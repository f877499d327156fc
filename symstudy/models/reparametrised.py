"""Any model with its weights written as products, so that weight decay favours a structure.

The penalty gamma |theta|^2 on the factors is, at its smallest for given effective weights W, a
penalty on W that has a kink where a symmetry is restored (arXiv:2309.16932):

* `hadamard`, w = u v elementwise: 2 gamma sum |w|, so weights become exactly 0;
* `gate`, W -> v W with a scalar v a weight: 2 gamma |W|_F, so whole weights become 0;
* `factorised`, W = U V: 2 gamma |W|_*, the nuclear norm, so weights become low in rank.

Biases and other parameters stay as they are.

Shapes: K runs, P parameters of the factors, Q parameters of the network.
"""

import copy
import math
from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from symstudy.layout import Block, DeclaredSymmetry, Layout, NeuronGroup, neuron_symmetries
from symstudy.models.base import (
    AbstractModel,
    Buffers,
    Forward,
    ModuleFacts,
    TrainingStep,
    split_parameters,
)
from symstudy.models.stacks import DenseStack
from symstudy.streams import Stream

__all__ = ["Factorisation", "Reparametrised"]

Factorisation = Literal["hadamard", "gate", "factorised"]


class Reparametrised(AbstractModel):
    """`base` with every weight a product of two factors, called `<weight>.u` and `<weight>.v`.

    The initial effective weights have the scale of `base`'s: they equal them for `gate`, whose v
    starts at 1, and otherwise are products of normal numbers with the same root mean square.
    """

    def __init__(self, base: AbstractModel, form: Factorisation) -> None:
        """Declare the factors of the weights of `base`."""
        self.base = base
        self.form = form
        self.declared = declare_factors(base.layout, form)

    @property
    def layout(self) -> Layout:
        """The factors; their neurons may be swapped, but no longer flipped or rescaled alone."""
        return self.declared

    @property
    def network_layout(self) -> Layout:
        """The layout of the effective weights: that of `base`."""
        return self.base.network_layout

    @property
    def dense(self) -> DenseStack | None:
        """None: the compiled kernels know no products of weights."""
        return None

    @property
    def is_stochastic(self) -> bool:
        """Whether `base` draws random numbers in training."""
        return self.base.is_stochastic

    @property
    def is_stateful(self) -> bool:
        """Whether runs of `base` hold buffers of their own."""
        return self.base.is_stateful

    @property
    def predicts(self) -> bool:
        """Whether the outputs of `base` have the targets' shape."""
        return self.base.predicts

    @property
    def returns(self) -> str:
        """What `base` returns, where that is more than outputs."""
        return self.base.returns

    @property
    def why_no_features(self) -> str:
        """Why `base` does not tell its last layer; empty where it does."""
        return self.base.why_no_features

    @property
    def activations(self) -> int:
        """What a sample leaves in `base` for the backward pass."""
        return self.base.activations

    @property
    def facts(self) -> ModuleFacts | None:
        """What a user is told of `base`."""
        return self.base.facts

    def is_batched(self, *, training: bool) -> bool:
        """Return whether runs of `base` go through in one batched call."""
        return self.base.is_batched(training=training)

    def adapted(
        self, batch: int, device: str, vmap: Literal["auto", "always", "never"]
    ) -> "Reparametrised":
        """Return the model of an adapted `base`."""
        return self.around(self.base.adapted(batch, device, vmap))

    def initial_buffers(self, seeds: Sequence[int], dtype: torch.dtype) -> Buffers:
        """Return the buffers of `base`."""
        return self.base.initial_buffers(seeds, dtype)

    def with_buffers(self, buffers: Buffers) -> "Reparametrised":
        """Return the model of a `base` with these buffers."""
        return self.around(self.base.with_buffers(buffers))

    def around(self, base: AbstractModel) -> "Reparametrised":
        """Return the same products for another `base` of the same layout."""
        found = copy.copy(self)
        found.base = base
        return found

    def network_parameters(
        self, theta_KP: Float[Tensor, "runs parameters"]
    ) -> Float[Tensor, "runs effective"]:
        """Return the effective weights, and what is no weight; gradients flow."""
        return self.base.network_parameters(self.products(theta_KP))

    def products(
        self, theta_KP: Float[Tensor, "runs parameters"]
    ) -> Float[Tensor, "runs effective"]:
        """Return the parameters of `base` that the factors amount to."""
        factors = split_parameters(self.declared, theta_KP)
        pieces = []
        for block in self.base.layout.blocks:
            if not is_factored(block):
                pieces.append(factors[block.name].flatten(1))
                continue
            u, v = factors[f"{block.name}.u"], factors[f"{block.name}.v"]
            if self.form == "factorised":
                pieces.append(torch.bmm(u, v.flatten(2)).flatten(1))
            else:
                assert self.form in {"hadamard", "gate"}, f"no such form of weights: {self.form}"
                pieces.append(u.flatten(1) * v.flatten(1))
        return torch.cat(pieces, dim=1)

    def initialise(
        self, seeds: Sequence[int], scales_K: Float[Tensor, " runs"]
    ) -> Float[Tensor, "runs parameters"]:
        """Return factors whose products have the root mean square of `base`'s initial weights."""
        start = split_parameters(self.base.layout, self.base.initialise(seeds, scales_K))
        rows = {
            seed: torch.from_numpy(Stream(seed, "reparametrisation").normal(self.declared.size))
            for seed in set(seeds)
        }
        drawn_KP = torch.stack([rows[seed] for seed in seeds]).to(scales_K.dtype)
        draws = split_parameters(self.declared, drawn_KP)
        pieces = []
        for block in self.base.layout.blocks:
            w_KQ = start[block.name].flatten(1)
            if not is_factored(block):
                pieces.append(w_KQ)
                continue
            u_KQ, v_KQ = (draws[f"{block.name}.{name}"].flatten(1) for name in "uv")
            root_K1 = w_KQ.square().mean(dim=1, keepdim=True).sqrt().sqrt()
            if self.form == "gate":
                pieces += [w_KQ, torch.ones_like(v_KQ)]
            elif self.form == "hadamard":
                pieces += [u_KQ * root_K1, v_KQ * root_K1]
            else:
                assert self.form == "factorised", f"no such form of weights: {self.form}"
                # An entry of U V is a sum over the rank, whose variance the factors share.
                shared = inner_size(block) ** -0.25
                pieces += [shared * u_KQ * root_K1, shared * v_KQ * root_K1]
        return torch.cat(pieces, dim=1)

    def forward(
        self, theta_KP: Float[Tensor, "runs parameters"], x_KBI: Float[Tensor, "runs batch ..."]
    ) -> Forward:
        """Return the forward pass of `base` with the effective weights."""
        return self.base.forward(self.products(theta_KP), x_KBI)

    def training_forward(
        self,
        theta_KP: Float[Tensor, "runs parameters"],
        x_KBI: Float[Tensor, "runs batch ..."],
        step: TrainingStep,
    ) -> Forward:
        """Return the forward pass of `base` in training with the effective weights."""
        return self.base.training_forward(self.products(theta_KP), x_KBI, step)


def is_factored(block: Block) -> bool:
    """Return whether `block` is a weight of two axes or more."""
    return block.role == "weight" and len(block.shape) > 1


def inner_size(block: Block) -> int:
    """Return the largest rank that the weight can have, with all axes but the first as one."""
    return min(block.shape[0], math.prod(block.shape[1:]))


def declare_factors(layout: Layout, form: Factorisation) -> Layout:
    """Return the layout of the factors of a model with `layout`."""
    blocks: list[Block] = []
    symmetries: list[DeclaredSymmetry] = []

    def add(
        name: str,
        shape: tuple[int, ...],
        axes: tuple[str, ...],
        role: Literal["weight", "bias"],
        fan_in: int,
    ) -> None:
        at = blocks[-1].stop if blocks else 0
        blocks.append(Block(name=name, shape=shape, offset=at, axes=axes, role=role, fan_in=fan_in))

    for block in layout.blocks:
        u, v = f"{block.name}.u", f"{block.name}.v"
        if not is_factored(block):
            add(block.name, block.shape, block.axes, block.role, block.fan_in)
        elif form == "hadamard":
            add(u, block.shape, block.axes, "weight", block.fan_in)
            add(v, block.shape, block.axes, "weight", block.fan_in)
        elif form == "gate":
            add(u, block.shape, block.axes, "weight", block.fan_in)
            add(v, (1,), (f"{block.name}.gate",), "weight", 1)
        else:
            assert form == "factorised", f"no such form of weights: {form}"
            rank, inner = inner_size(block), f"{block.name}.rank"
            add(u, (block.shape[0], rank), (block.axes[0], inner), "weight", rank)
            add(v, (rank, *block.shape[1:]), (inner, *block.axes[1:]), "weight", block.fan_in)
            symmetries.append(
                DeclaredSymmetry(kind="double_rotation", blocks=(v,), axis=inner, partners=(u,))
            )
    groups = tuple(
        NeuronGroup(
            name=group.name, layer=group.layer, size=group.size, odd=False, homogeneous=False
        )
        for group in layout.groups
    )
    return Layout(
        blocks=tuple(blocks),
        groups=groups,
        symmetries=(*neuron_symmetries(blocks, groups), *symmetries),
    )
