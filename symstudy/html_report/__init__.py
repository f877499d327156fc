"""The HTML report."""

from symstudy.html_report.page import write_report

__all__ = ["write_report"]
