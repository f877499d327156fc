"""Schedules of the learning rate, one file each."""

from symstudy.schedules.config import AbstractFall, AbstractSchedule

__all__ = ["AbstractFall", "AbstractSchedule"]
