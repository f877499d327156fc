"""A schedule of the user's own: a component that a study file names as `package.module:Name`."""

from symstudy.components import load_own_class
from symstudy.schedules.config import AbstractSchedule

__all__ = ["adapt_own"]


def adapt_own(name: str) -> type[AbstractSchedule]:
    """Return the class called `name`, with its name and the hash of its source among its fields.

    Raises:
        ModelError: If it cannot be imported, or is no schedule.
    """
    found: type[AbstractSchedule] = load_own_class(
        name, "train.schedule", AbstractSchedule, "schedule_source"
    )
    return found
