"""Schedules of the learning rate, one file each."""

from symstudy.schedules.config import AbstractFall, AbstractSchedule
from symstudy.schedules.own import adapt_own

__all__ = ["AbstractFall", "AbstractSchedule", "adapt_own"]
