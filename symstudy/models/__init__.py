"""Networks with a leading run axis, a folder a kind: its keys and its network.

Importing this package loads no torch; `build_model` does.
"""

from symstudy.models.config import AbstractModelConfig, build_model
from symstudy.models.own.config import OwnModelConfig

__all__ = ["AbstractModelConfig", "OwnModelConfig", "adapt_own", "build_model"]


def adapt_own(name: str) -> type[OwnModelConfig]:
    """Return the configuration of a module of the user's own; it is imported when it is built."""
    del name
    return OwnModelConfig
