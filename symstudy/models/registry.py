"""The models by name; a model's module is imported when it is built."""

import dataclasses
import importlib
from typing import TYPE_CHECKING, NamedTuple

from symstudy.models.configs import (
    CustomConfig,
    DeepLinearConfig,
    FcnConfig,
    ModelConfig,
    PretrainedConfig,
    TransformerConfig,
)

if TYPE_CHECKING:
    from symstudy.models.base import AbstractModel

__all__ = ["MODELS", "ModelEntry", "build_model", "dense_sizes"]


class ModelEntry(NamedTuple):
    """One kind of model.

    Attributes:
        config: Dataclass of its keys in a study file.
        builder: Import path of the function that builds it, `module:function`.
    """

    config: type[FcnConfig | DeepLinearConfig | TransformerConfig | PretrainedConfig]
    builder: str


MODELS: dict[str, ModelEntry] = {
    "fcn": ModelEntry(FcnConfig, "symstudy.models.fcn:build_fcn"),
    "deep_linear": ModelEntry(DeepLinearConfig, "symstudy.models.fcn:build_deep_linear"),
    "transformer": ModelEntry(TransformerConfig, "symstudy.models.transformer:build_transformer"),
    "pretrained": ModelEntry(PretrainedConfig, "symstudy.models.pretrained:build_pretrained"),
}


def build_model(
    config: ModelConfig, input_dim: int, output_dim: int, *, tokens: int = 0
) -> "AbstractModel":
    """Return the model that `config` describes, between the dimensions of the data.

    Args:
        config: The `[model]` table.
        input_dim: Inputs of a sample, those of all tokens together.
        output_dim: Outputs.
        tokens: Tokens that the data say they are sequences of; 0 for none.

    Raises:
        ModelError: If a user's own module cannot be built or packed, trained weights not read, or
            inputs not cut into tokens.
    """
    if isinstance(config, TransformerConfig) and config.tokens == 0:
        config = dataclasses.replace(config, tokens=tokens)
    builder = (
        "symstudy.models.custom:build_custom"
        if isinstance(config, CustomConfig)
        else MODELS[config.kind].builder
    )
    path, _, name = builder.partition(":")
    model: AbstractModel = getattr(importlib.import_module(path), name)(
        config, input_dim, output_dim
    )
    if config.reparametrise == "none":
        return model
    wrapper = importlib.import_module("symstudy.models.reparametrised")
    factored: AbstractModel = wrapper.Reparametrised(model, config.reparametrise)
    return factored


def dense_sizes(config: ModelConfig, input_dim: int, output_dim: int) -> list[int] | None:
    """Return the layer sizes of a dense network, or None where `config` is no such network."""
    if isinstance(config, CustomConfig | PretrainedConfig | TransformerConfig):
        return None
    return [input_dim, *[config.width] * (config.depth - 1), output_dim]
