"""The command `explore`: results in a browser."""

import contextlib
import signal
from typing import Annotated, Any

import typer

from symstudy.cli.options import Json, ResultsPath
from symstudy.cli.output import note, print_json, say

__all__ = ["add_commands"]


def add_commands(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command(rich_help_panel="Results")(explore)


def explore(
    results: ResultsPath = "results",
    port: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=65535,
            help="Port of this machine; a free one if not given.",
            show_default=False,
        ),
    ] = None,
    others: Annotated[
        list[str] | None,
        typer.Option(
            "--and", metavar="RESULTS", help="More results to look at beside.", show_default=False
        ),
    ] = None,
    no_open: Annotated[bool, typer.Option("--no-open", help="Open no browser.")] = False,
    as_json: Json = False,
) -> None:
    """Look at results in a browser: filters, figures, curves, SQL; live while a study runs.

    It answers on this machine alone, to pages that have its token, writes nothing, and ends with
    Ctrl-C. Needs `pip install 'symstudy[explore]'`.

    Examples: `symstudy explore results`; `symstudy explore results/digits --port 9000 --no-open`
    """
    from symstudy.explore.server import Address, serve

    def tell(address: Address) -> Any:
        if as_json:
            print_json({"page": address.page, "frame": address.frame, "port": address.port})
            return
        say(f"Explorer: {address.page}")
        if address.forward is not None:
            note(f"On your own machine, type: {address.forward}")
            note("and open the address above there. Ctrl-C ends the explorer.")
        else:
            note("Ctrl-C ends it.")

    with contextlib.suppress(KeyboardInterrupt):  # the server may have taken it for itself
        serve(
            [results, *(others or ())],
            port=port,
            told=tell,
            opens_browser=not no_open and not as_json,
        )
    note("The explorer has ended.")
    # A thread may be in the middle of reading a file; another Ctrl-C does not wait for it.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
