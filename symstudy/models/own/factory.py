"""The class or function behind `model.kind = "package.module:Name"`, and what it is called with."""

import inspect
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from torch import nn
from torch.nn.parameter import UninitializedParameter

from symstudy.components import DataShape, load_own
from symstudy.components.opened_files import files_opened
from symstudy.errors import ModelError, choices
from symstudy.identity import stream_key
from symstudy.models.own.config import OwnModelConfig
from symstudy.models.own.draws import seeded_by

__all__ = ["ModuleFactory", "find_factory"]

PLACEHOLDER = re.compile(r"\{(\w+)\}")
"""An argument that stands for a size of the data, such as `num_classes = "{outputs}"`."""
UNASKED = {"input_dim": "inputs", "output_dim": "outputs", "input_shape": "input_shape"}
"""Parameters that are told a size of the data unasked, and which size."""
NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
"""Kinds of parameters that a key of [model] can give."""


@final
@dataclass(frozen=True, kw_only=True)
class ModuleFactory:
    """Makes modules of a user's own.

    Attributes:
        name: Name of the class or function, for messages.
        call: The class or function.
        arguments: What it is called with.
        told: Those of them that are sizes of the data, told unasked.
        files: Files that the arguments name, and so the identity of a run covers.
    """

    name: str
    call: Callable[..., Any]
    arguments: dict[str, Any]
    told: tuple[str, ...] = ()
    files: tuple[Path, ...] = ()

    def __str__(self) -> str:
        """Return the call as it would be written."""
        return (
            f"{self.name}({', '.join(f'{key}={item!r}' for key, item in self.arguments.items())})"
        )

    def make(self, seed: int) -> nn.Module:
        """Return a module initialised from the stream of `seed`; torch's generator is left alone.

        Raises:
            ModelError: If the call raises, or returns no module, or one of layers without sizes, or
                reads files that no argument names.
        """
        with seeded_by(stream_key(seed, "initialisation") >> 1), files_opened() as read:
            try:
                module = self.call(**self.arguments)
            except Exception as error:
                raise ModelError(
                    f"{self} must be buildable from the keys of [model], but raised "
                    f"{type(error).__name__}: {error}{self.advice()}"
                ) from error
        self.check_files(read, "when it is built")
        if not isinstance(module, nn.Module):
            raise ModelError(
                "model.kind must name a class or function that returns a torch.nn.Module, but "
                f"{self} returned a {type(module).__name__}."
            )
        tensors = [*module.named_parameters(), *module.named_buffers()]
        lazy = [key for key, each in tensors if isinstance(each, UninitializedParameter)]
        if lazy:
            raise ModelError(
                f"{self.name} must know the sizes of its layers when it is built, but "
                f"{', '.join(lazy)} are of lazy layers. Give the constructor a parameter input_dim "
                "or input_shape, which is told the data's, and use nn.Linear, nn.Conv2d and so on."
            )
        return module

    def check_files(self, read: Sequence[Path], when: str) -> None:
        """Check that the identity of a run covers the files that were read.

        Args:
            read: Files.
            when: When they were read, in words.

        Raises:
            ModelError: If no argument names one.
        """
        known = {path.resolve() for path in self.files}
        unknown = [path for path in read if path.resolve() not in known]
        if unknown:
            raise ModelError(
                f"{self.name} must read files that a key of [model] names, so that a run is known "
                f"by what they hold, but it reads {', '.join(map(str, unknown))} {when}. Give the "
                f"constructor a parameter for the path, and type "
                f"model.{unknown[0].stem}={str(unknown[0])!r}"
            )

    def advice(self) -> str:
        """Return what to type where the call was given what it does not know, or lacks something.

        What it lacks is a parameter without a default that neither [model] nor symstudy gives.
        """
        known = parameters_of(self.call)
        takes_any = any(each.kind is inspect.Parameter.VAR_KEYWORD for each in known.values())
        unknown = [key for key in self.arguments if key not in known and not takes_any]
        if known and unknown:
            return f". {unknown[0]}: {choices(unknown[0], list(known))}"
        lacking = [
            key
            for key, each in known.items()
            if each.default is inspect.Parameter.empty
            and each.kind in NAMED
            and key not in self.arguments
        ]
        if not lacking:
            return ""
        names = ", ".join(lacking)
        told = " and ".join(f"{key}={self.arguments[key]!r}" for key in self.told) or "none"
        return (
            f". symstudy passes {', '.join(UNASKED)} to parameters of these names, here {told}; "
            f"the study must give {names}, each as a key of [model]. Type "
            f"model.{lacking[0]}=VALUE, "
            f'or "{{inputs}}", "{{outputs}}", "{{input_shape}}" or "{{channels}}" as the value for '
            "that size of the data"
        )


def find_factory(config: OwnModelConfig, data: DataShape) -> ModuleFactory:
    """Import what `config.kind` names, and return it with the arguments for data of a shape.

    `config.arguments` are passed on. A text that is a size's name in braces is that size; a
    parameter called `input_dim`, `output_dim` or `input_shape` is told it unasked.

    Raises:
        ModelError: If there is no such module or name, it cannot be called, or a size is unknown.
    """
    call = load_own(config.kind, "model.kind")
    if not callable(call):
        raise ModelError(
            "model.kind must name a torch.nn.Module, or a function that returns one, as "
            f"package.module:Name, but got {config.kind!r}, which is a {type(call).__name__}."
        )
    sizes = sizes_of(data)
    arguments = {key: filled(key, item, sizes) for key, item in config.arguments.items()}
    known = parameters_of(call)
    told = {
        key: sizes[size]
        for key, size in UNASKED.items()
        if key in known and known[key].kind in NAMED and key not in arguments
    }
    return ModuleFactory(
        name=config.kind.rpartition(":")[2],
        call=call,
        arguments={**arguments, **told},
        told=tuple(told),
        files=tuple(config.files()),
    )


def sizes_of(data: DataShape) -> dict[str, Any]:
    """Return what an argument in braces may stand for, by name."""
    shape = data.input_shape or (data.inputs,)
    return {
        "inputs": data.inputs,
        "outputs": data.outputs,
        "input_shape": shape,
        "channels": shape[0],
    }


def filled(key: str, item: Any, sizes: dict[str, Any]) -> Any:
    """Return an argument, or the size that it stands for.

    Raises:
        ModelError: If there is no size of that name.
    """
    found = PLACEHOLDER.fullmatch(item) if isinstance(item, str) else None
    if found is None:
        return item
    if found[1] not in sizes:
        raise ModelError(
            f"model.{key} in braces must be the name of a size, but got {item!r}. "
            f"{choices(found[1], list(sizes))}"
        )
    return sizes[found[1]]


def parameters_of(call: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """Return the parameters of a class or function; none where it does not tell them.

    What was wrapped is looked at through `functools.wraps`.
    """
    try:
        return dict(inspect.signature(call).parameters)
    except (TypeError, ValueError):
        return {}
