"""The command line. Commands load what they need when they are called."""

from symstudy.cli.app import main
from symstudy.cli.ending import program

__all__ = ["main", "program"]
