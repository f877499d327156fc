"""All benchmarks, one process each: `make bench` prints, `make bench-docs` writes the documents.

Arguments are names of benchmarks; without any all of them run, or, with `--docs`, those whose
figures are older than the code that they measure. `--stale` lists these, and exits with 1 if there
are any.
"""

import os
import subprocess
import sys
from pathlib import Path

from documented import MEASURED, WRITING, stale

FOLDER = Path(__file__).parent
PRINTED = ("explorer",)
"""Benchmarks of which no document has figures."""


def main() -> None:
    """Run the benchmarks, or list those whose figures are old."""
    options = [word for word in sys.argv[1:] if word.startswith("-")]
    names = [word.removesuffix(".py") for word in sys.argv[1:] if not word.startswith("-")]
    unknown = [name for name in names if name not in (*MEASURED, *PRINTED)]
    if unknown or not {*options} <= {"--docs", "--stale"}:
        known = ", ".join((*MEASURED, *PRINTED))
        sys.exit(f"benchmarks are {known}; options --docs and --stale; got {sys.argv[1:]}")
    old = stale()
    if "--stale" in options:
        for name, where in old.items():
            print(f"{name}: older than the code in {', '.join(where)}")
        sys.exit(1 if old else 0)
    if "--docs" in options:
        os.environ[WRITING] = "1"
        names = names or [name for name in MEASURED if name in old]
    for name in names or [*MEASURED, *PRINTED]:
        print(f"== {name}", flush=True)
        subprocess.run([sys.executable, str(FOLDER / f"{name}.py")], check=True)


if __name__ == "__main__":
    main()
