"""What a search must have installed: the extra `search`, which a plain install leaves out."""

from importlib.util import find_spec

from symstudy.errors import LaunchError

__all__ = ["check_packages"]

OF_METHOD = {
    "tpe": ("optuna",),
    "gp": ("optuna", "greenlet"),  # without greenlet Optuna is slower, and warns of it
    "cmaes": ("optuna", "cmaes"),
    "qmc": ("optuna",),
    "random": ("optuna",),  # for the journal that optuna-dashboard reads
}
"""Packages by `search.method`; the other methods need none."""


def check_packages(method: str) -> None:
    """Check that what a method of search needs is installed, before anything is planned.

    Raises:
        LaunchError: If a package is missing; says what to type.
    """
    missing = [name for name in OF_METHOD.get(method, ()) if find_spec(name) is None]
    if missing:
        raise LaunchError(
            f"search.method = {method!r} must have the packages of the extra `search`, but "
            f"{' and '.join(missing)} cannot be found. Type: pip install 'symstudy[search]'"
        )
