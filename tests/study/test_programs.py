import pytest

from symstudy.errors import StudyFileError
from symstudy.study import load_study, plan_packs, read_cell

HEAD = 'schema = 1\nname = "own"\n'
SCRIPT = "import helper\ndef main(run): pass\ndef pair(a, b): pass\n"


@pytest.fixture
def load(tmp_path):
    def load(text, *overrides):
        (tmp_path / "train.py").write_text(SCRIPT)
        (tmp_path / "helper.py").write_text("x = 1\n")
        (tmp_path / "study.toml").write_text(HEAD + text)
        return load_study(tmp_path / "study.toml", overrides=overrides)

    return load


ENTRY = '[program]\nentry = "train:main"\n'
COMMAND = '[program]\ncommand = ["python", "train.py", "--lr={lr}", "--seed={seed}"]\n'


def test_a_grid_of_hyperparameters_with_seeds(load):
    study = load(ENTRY + '[config]\nlr = 0.1\n[sweep]\n"config.lr" = [0.1, 0.2]\nseed = 3\n')
    assert [cell.settings.arguments for cell in study.cells] == [{"lr": 0.1}, {"lr": 0.2}]
    assert len(study.runs()) == 6
    assert study.swept == ("config.lr",)


def test_a_cell_is_read_back_from_the_plan(load):
    study = load(ENTRY + 'timeout = 5\nenv = {A = "1"}\n[config]\nopt.lr = 0.1\nnames = ["a"]\n')
    (cell,) = study.cells
    assert read_cell(cell.config) == cell
    assert cell.program.timeout == 5.0
    assert cell.program.variables == {"A": "1"}
    assert cell.settings.arguments == {"opt.lr": 0.1, "names": ["a"]}


def test_limits_and_resources_are_no_part_of_identity(load):
    one = load(ENTRY)
    other = load(ENTRY + "timeout = 5\nretries = 2\n[pack]\ncpus = 4\n")
    assert one.runs()[0].run_id == other.runs()[0].run_id


@pytest.mark.parametrize("file", ["train.py", "helper.py"])
@pytest.mark.parametrize("program", [ENTRY, COMMAND])
def test_changed_code_makes_other_runs(load, tmp_path, program, file):
    text = program + "[config]\nlr = 0.1\n"
    before = load(text).runs()[0].run_id
    (tmp_path / file).write_text((tmp_path / file).read_text() + "\ny = 2\n")
    assert load_study(tmp_path / "study.toml").runs()[0].run_id != before


def test_one_run_a_pack_unless_its_size_is_given(load):
    text = ENTRY + "[sweep]\nseed = 5\n"
    assert [len(p.runs) for p in plan_packs(load(text).runs(), load(text).pack)] == [1] * 5
    study = load(text, "pack.size=2")
    assert [len(p.runs) for p in plan_packs(study.runs(), study.pack)] == [2, 2, 1]


def test_overrides_sweep_and_fix_hyperparameters(load):
    study = load(ENTRY + "[config]\nlr = 0.1\n", "config.lr=[0.1,0.2,0.3]", "config.deep.er=2")
    assert [cell.settings.arguments["lr"] for cell in study.cells] == [0.1, 0.2, 0.3]
    assert study.cells[0].settings.arguments["deep.er"] == 2


def test_a_swept_key_that_no_word_names_is_told(load):
    study = load(COMMAND + '[config]\nlr = 0.1\n[sweep]\n"config.width" = [1, 2]\n')
    assert any("config.width is not among the words" in note for note in study.notes)


@pytest.mark.parametrize(
    ("text", "key", "message"),
    [
        ("[program]\n", "program", "exactly one of .* got neither"),
        (ENTRY + 'command = ["python"]\n', "program", "got both"),
        ('[program]\nentry = "train:mian"\n', "program.entry", "Did you mean 'main'"),
        ('[program]\nentry = "train:pair"\n', "program.entry", "one argument, the run, but"),
        ('[program]\nentry = "nowhere_x:main"\n', "program.entry", "found no 'nowhere_x'"),
        ('[program]\nentry = "train"\n', "program.entry", "package.module:function"),
        ('[program]\ncommand = ["no-such-tool"]\n', "program.command", "no 'no-such-tool'"),
        ('[program]\ncommand = ["python", "tran.py"]\n', "program.command", "no 'tran.py'"),
        ('[program]\ncommand = ["ls", "{lr}"]\n', "program.command", "but got {lr}"),
        (ENTRY + "timeout = -1\n", "program.timeout", "at least 0"),
        (ENTRY + "retrys = 1\n", "program.retrys", "Did you mean 'retries'"),
        (ENTRY + "env = {A = 1}\n", "program.env.A", "text in quotes"),
        (ENTRY + "[sweep]\nlr = [1, 2]\n", "sweep.lr", 'Type "config.lr"'),
        (ENTRY + '[config]\nlr = 1\n[sweep]\n"config.lr" = [1, "a"]\n', "config.lr", "one type"),
        (ENTRY + "[config]\nlr = 1\nLR = 2\n", "config.LR", "for one column"),
        (ENTRY + "[config]\nseed = 1\n", "config.seed", "another name"),
        (ENTRY + "[config]\nlr = nan\n", "config.lr", "finite"),
        (ENTRY + "[config]\nday = 2020-01-01\n", "config.day", "must be a number"),
        (ENTRY + "[train]\nlr = 0.1\n", "train", "must be left out where there is a [program]"),
        ("[config]\nlr = 0.1\n", "config", "with [program]"),
        (ENTRY + "[pack]\ngpus = 1.5\n", "pack.gpus", "whole above 1"),
    ],
)  # fmt: skip
def test_mistakes_are_told_with_their_place(load, text, key, message):
    import re

    with pytest.raises(StudyFileError) as caught:
        load(text)
    found = [m.what for m in caught.value.mistakes if m.key == key]
    pattern = message if ".*" in message else re.escape(message)
    assert any(re.search(pattern, what) for what in found), caught.value


def test_an_unbroken_line_of_python_is_needed_and_never_run(tmp_path):
    (tmp_path / "train.py").write_text("def main(run:\n")
    (tmp_path / "study.toml").write_text(HEAD + ENTRY)
    with pytest.raises(StudyFileError, match="train.py:1 is none"):
        load_study(tmp_path / "study.toml")
    (tmp_path / "train.py").write_text("raise SystemExit\ndef main(run): pass\n")
    assert len(load_study(tmp_path / "study.toml").cells) == 1
