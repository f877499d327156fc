"""Schedules of the learning rate, one file each."""

from symstudy.schedules.config import AbstractFall, AbstractSchedule, AbstractWarmed
from symstudy.schedules.own import adapt_own

__all__ = ["AbstractFall", "AbstractSchedule", "AbstractWarmed", "adapt_own"]
