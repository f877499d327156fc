"""A rule of the user's own that ends runs before their last step: `train.stop`."""

from typing import Any, final

from symstudy.components import load_own
from symstudy.components.foreign_draws import called_and_drawn
from symstudy.errors import ModelError
from symstudy.measures.views import RunView

__all__ = ["OwnStop"]


@final
class OwnStop:
    """A function of the course of one run that says whether the run is to end.

    It gets a `RunView` and returns False to go on, True to end the run, or why, in words. It is
    asked of one run at a time, so that where a run ends cannot depend on its mates.

    Attributes:
        name: Import path of the function.
    """

    def __init__(self, name: str) -> None:
        """Import the function.

        Raises:
            ModelError: If it cannot be imported.
        """
        self.name = name
        self.function: Any = load_own(name, "train.stop")

    def reason(self, run: RunView) -> str:
        """Return why a run ends now; empty if it goes on.

        Raises:
            ModelError: If the function returns something else, or raises.
        """
        try:
            found, drawn = called_and_drawn(lambda: self.function(run))
        except Exception as error:
            raise ModelError(
                f"train.stop must take the course of a run, but {self.name} raised "
                f"{type(error).__name__} at step {int(run.steps[-1])}: {error}"
            ) from error
        if drawn:
            raise ModelError(
                f"train.stop must draw no random numbers, but {self.name} draws from "
                f"{drawn}: where a run ends would depend on its mates."
            )
        # Comparisons of NumPy's numbers are its own booleans.
        told = found.item() if type(found).__module__ == "numpy" and found.ndim == 0 else found
        if not isinstance(told, bool | str):
            raise ModelError(
                "train.stop must return True, False or a reason in words, but "
                f"{self.name} returned a {type(found).__name__} at step {int(run.steps[-1])}. "
                "Write `return bool(...)`."
            )
        if not told:
            return ""
        words = f": {told}" if isinstance(told, str) else ""
        return f"train.stop = {self.name!r} ended the run at step {int(run.steps[-1])}{words}"
