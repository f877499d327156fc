"""The command line. Commands load what they need when they are called."""

from symstudy.cli.app import main

__all__ = ["main"]
