"""Searches: choose the next trials from the results so far."""

from symstudy.launch.search.source import BatchSettings, SearchSource
from symstudy.launch.search.state import SearchState

__all__ = ["BatchSettings", "SearchSource", "SearchState"]
