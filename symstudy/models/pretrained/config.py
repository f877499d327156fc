"""Keys of `model.kind = "pretrained"`."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

from annotated_types import Ge

from symstudy.components import DataShape, KnownBy, NetworkSize, component
from symstudy.components.sizes import UNKNOWN_PARAMETERS
from symstudy.errors import ModelError
from symstudy.models.config import AbstractModelConfig, Reparametrise
from symstudy.models.pretrained.weight_paths import content_of, is_there, size_of

__all__ = ["PretrainedConfig"]


@component
class PretrainedConfig(AbstractModelConfig):
    """The attention of a trained vision transformer, read from a file and measured as it is.

    A run is known by what the file holds, not by where it lies.
    """

    network: ClassVar[str] = "symstudy.models.pretrained.network:build_pretrained"
    needs_data: ClassVar[bool] = False

    kind: Literal["pretrained"] = "pretrained"
    """Trained weights from a file; with data.kind and train.optimizer "none"."""
    path: Annotated[str, KnownBy("content")]
    """File of safetensors or of torch, index of several, or folder of Hugging Face, with the keys
    of torchvision, Hugging Face or timm; below the working directory, or from the root."""
    heads: Annotated[int, Ge(1)] | None = None
    """Heads of an attention layer; by default what a config.json beside the file says, or that of
    the vision transformers Ti, S, B, L and H of its width."""
    weights: Literal["file", "random"] = "file"
    """Those of the file, or normal ones of the same shapes, drawn anew for each seed."""
    content: str = ""
    """SHA-256 of the file; found by itself, and checked where it is given."""

    @property
    def reparametrise(self) -> Reparametrise:
        """Weights are what they are."""
        return "none"

    def size(self, data: DataShape) -> NetworkSize:
        """Return the size of the file: a third of it, in float32, is attention."""
        del data
        size = size_of(self.path) or 4 * UNKNOWN_PARAMETERS
        return NetworkSize(size // 12, 0, 0, file_bytes=size)

    def identified(self) -> tuple[Self, list[tuple[str, str]]]:
        """Return the configuration with the hash of what its file holds, if it is there.

        A study can be checked and planned before the file is downloaded.
        """
        if not is_there(self.path):
            return self, []
        try:
            content = content_of(self.path)
        except ModelError as error:
            return self, [("path", str(error).removeprefix("model.path "))]
        if self.content not in {"", content}:
            what = f"must be the SHA-256 of {self.path!r}, {content}, but got {self.content!r}"
            return self, [("content", what)]
        path = str(Path(self.path).expanduser().absolute())
        return replace(self, path=path, content=content), []

    @property
    def missing(self) -> str:
        """Path of the file, if it is not there yet."""
        return "" if self.content else self.path
