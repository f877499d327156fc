"""Searches: deciding what to train next from what has ended."""

from symstudy.launch.search.source import SearchSource, Site
from symstudy.launch.search.state import SearchState

__all__ = ["SearchSource", "SearchState", "Site"]
