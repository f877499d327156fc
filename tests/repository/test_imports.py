import json
import subprocess
import sys

import pytest

HEAVY = ("torch", "ray", "seaborn", "matplotlib", "optuna", "pandas", "numba", "pyarrow", "duckdb")


def loaded_by(program):
    """Return which heavy packages a new Python has loaded after `program`."""
    tail = f"\nimport sys, json; print(json.dumps([m for m in {HEAVY} if m in sys.modules]))"
    done = subprocess.run(
        [sys.executable, "-c", program + tail], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout.splitlines()[-1])


def run_program(*arguments):
    """Return a program that runs symstudy's own main with `arguments`, whatever it exits with."""
    return (
        f"import sys; sys.argv = ['symstudy', *{arguments!r}]\n"
        "from symstudy.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass"
    )


@pytest.mark.parametrize(
    "program",
    [
        "import symstudy, symstudy.launch, symstudy.store",
        "import symstudy.study",
        run_program(),
        run_program("--help"),
        run_program("run", "-h"),
        run_program("list", "studies"),
        run_program("list", "claims"),
    ],
    ids=["import", "study", "alone", "help", "help of run", "list studies", "list claims"],
)
def test_nothing_heavy_is_loaded(program):
    assert loaded_by(program) == []


def test_planning_loads_neither_torch_nor_ray(root):
    program = run_program("plan", str(root / "studies" / "smoke.toml"))
    assert not {"torch", "ray", "seaborn"} & set(loaded_by(program))


def test_the_public_names_are_there():
    import symstudy

    for name in symstudy.__all__:
        assert getattr(symstudy, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        symstudy.nonsense  # type: ignore[attr-defined]  # noqa: B018  # what is tested


def test_numerics_work_without_ray(tmp_path):
    program = (
        "import sys; sys.modules.update(ray=None, optuna=None, typer=None)\n"
        "from symstudy.study import make_study, plan_packs\n"
        "from symstudy.training import train_pack\n"
        "study = make_study({'schema': 1, 'name': 's', 'model': {'kind': 'fcn', 'width': 4},\n"
        "    'data': {'kind': 'identity', 'input_dim': 2}, 'train': {'lr': 0.1, 'steps': 3}})\n"
        "(pack,) = plan_packs(study.runs(), study.pack, workers=1, device='cpu')\n"
        "print(len(pack.runs))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "1\n"), done.stderr[-500:]


def test_a_command_loads_its_own_module_and_all_of_them_make_the_help():
    from symstudy.cli.commands import MODULES, commands_in

    assert {name: tuple(commands_in(name)) for name in MODULES} == MODULES
    program = run_program("query", "--help")
    tail = "\nprint([m for m in sys.modules if m.startswith('symstudy.cli.')])"
    done = subprocess.run(
        [sys.executable, "-c", program + tail], capture_output=True, text=True, check=True
    )
    loaded = done.stdout.splitlines()[-1]
    assert "symstudy.cli.results" in loaded
    assert "symstudy.cli.run" not in loaded
