"""Training a study from Python, with its progress shown in a notebook or a terminal."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from symstudy.cli.progress import RunDisplay
from symstudy.cli.run import claim_rules
from symstudy.interactive.notebook import NotebookDisplay, in_notebook
from symstudy.interactive.results import Results, open_results
from symstudy.launch import AbstractLauncher, Event, open_study_folder, run_study
from symstudy.launch.study_record import location_of
from symstudy.study import Study, load_study

__all__ = ["run"]


def run(
    study: Study | Path | str,
    results: Path | str = "results",
    *,
    launcher: AbstractLauncher | str = "inline",
    project: Path | str | None = None,
    retry: bool = False,
    extend: bool = False,
    progress: bool = True,
) -> "Results":
    """Train every run of a study that has not ended yet, and return its results.

    Called again, it goes on where it stopped, or does nothing. The rules of the study's claims are
    fixed with it before the first run, as by the command `symstudy run`.

    Args:
        study: The study, or its TOML file.
        results: Path or URI of the folder that the study's folder is made in.
        launcher: Where to train: `inline` for this process, `ray` for a Ray started on this
            machine, the name of an installed launcher, `package.module:Class`, or a launcher.
        project: Folder of the project whose claims the study serves; None to look for it above the
            working directory.
        retry: Whether failed runs are trained again.
        extend: Whether the folder may hold runs of other studies alone.
        progress: Whether to show how far it is.

    Raises:
        UserError: If the study, the project or the folder of results is not what it must be.
        KeyboardInterrupt: If interrupted twice; what ended is kept.

    Examples:
        >>> import symstudy
        >>> results = symstudy.run("studies/smoke.toml")  # doctest: +SKIP
        >>> results.df("select width, avg(test_loss) from runs group by all")  # doctest: +SKIP
    """
    whole = study if isinstance(study, Study) else load_study(study)
    rules = claim_rules(whole, Path(whole.source), None if project is None else Path(project))
    with display_of(whole, quiet=not progress) as display:
        summary = run_study(
            whole,
            str(results),
            launcher,
            listeners=(display,),
            rules=rules,
            extend=extend,
            retry=retry,
        )
    folder = open_study_folder(str(results), whole)
    found = open_results(location_of(folder, str(results)))
    found.stopped = summary.stopped
    return found


def display_of(study: Study, *, quiet: bool) -> AbstractContextManager[Callable[[Event], None]]:
    """Return the listener that shows a launch: in a notebook a bar, elsewhere a line."""
    if in_notebook() and not quiet:
        return NotebookDisplay()
    return RunDisplay(quiet=quiet, engine=study.pack.engine)
