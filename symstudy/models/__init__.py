"""Networks with a leading run axis.

Importing this package loads no torch; `build_model` does.
"""

from symstudy.models.configs import (
    CustomConfig,
    DeepLinearConfig,
    FcnConfig,
    ModelConfig,
    TransformerConfig,
)
from symstudy.models.registry import MODELS, build_model, dense_sizes

__all__ = [
    "MODELS",
    "CustomConfig",
    "DeepLinearConfig",
    "FcnConfig",
    "ModelConfig",
    "TransformerConfig",
    "build_model",
    "dense_sizes",
]
