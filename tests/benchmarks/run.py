"""All benchmarks, one process each: `make bench`."""

import subprocess
import sys
from pathlib import Path

BENCHMARKS = (
    "one_process.py",
    "through_ray.py",
    "driver.py",
    "store.py",
    "explorer.py",
    "minimiser.py",
    "padding.py",
    "transformer.py",
    "measures.py",
)


def main() -> None:
    """Run the benchmarks and print what they print."""
    for name in sys.argv[1:] or BENCHMARKS:
        print(f"== {name}", flush=True)
        subprocess.run([sys.executable, str(Path(__file__).parent / name)], check=True)


if __name__ == "__main__":
    main()
