"""Threads of a block of the fused kernel do not race: ThreadSanitizer, on threads of the host."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from symstudy.study import PackConfig
from symstudy.training.engines.fused_program import make_settings
from symstudy.training.engines.networks import kernel_network
from symstudy.training.loop import make_pack
from tests.training.test_fused import CASES, runs_of

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("g++") is None, reason="there is no g++"),
]
MAIN = Path(__file__).parent / "fused_threads.cpp"


def source_of(case) -> str:
    pack = make_pack(runs_of(**CASES[case]), PackConfig(device="cpu"))
    network = kernel_network(pack)
    assert network is not None
    settings = make_settings(pack, network).fitting(232448)
    assert settings is not None
    return settings.source()


def run(source: str, folder: Path, threads: int) -> subprocess.CompletedProcess[str]:
    file = folder / f"threads{threads}.cpp"
    file.write_text(source + MAIN.read_text())
    program = file.with_suffix("")
    words = [
        "g++", "-O1", "-g", "-std=c++20", "-DHOST", f"-DNT={threads}", "-Wno-unknown-pragmas",
        "-fsanitize=thread", "-pthread", "-o", str(program), str(file),
    ]  # fmt: skip
    subprocess.run(words, check=True, capture_output=True, text=True)
    # The sanitiser needs the addresses that older kernels gave.
    started = ["setarch", "-R", str(program)]
    return subprocess.run(started, check=False, capture_output=True, text=True, timeout=250)


@pytest.mark.parametrize("case", CASES)
def test_threads_do_not_race_and_their_number_changes_no_bit(case, tmp_path):
    source = source_of(case)
    several, alone = (run(source, tmp_path, threads) for threads in (8, 1))
    assert "WARNING: ThreadSanitizer" not in several.stderr, several.stderr[:2000]
    assert several.returncode == 0, several.stderr[:2000]
    assert several.stdout == alone.stdout
    assert several.stdout.split()[1] == "-1"


def test_a_barrier_that_is_missing_is_found(tmp_path):
    source = source_of("adam")
    barriers = [found.start() for found in re.finditer(r"  SYNC\(\);\n", source)]
    # The one between a layer and the next.
    at = next(place for place in barriers if place > source.index("void forward("))
    broken = source[:at] + source[at:].replace("SYNC();", "", 1)
    assert "WARNING: ThreadSanitizer: data race" in run(broken, tmp_path, 8).stderr
