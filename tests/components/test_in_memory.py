"""Row W3 of the trial in one long process: code in memory must be that of its file.

In a notebook a module is imported, edited and trained, or something is assigned to it. Its runs
would be known by code that did not train them.
"""

import hashlib
import importlib
import os
import subprocess
import sys

import pytest

from symstudy.components import changed_source, load_own, looking_in, source_of
from symstudy.components.in_memory import differing_name, was_edited

MODULE = """
import dataclasses
import enum
import functools
from typing import NamedTuple

import HELPER
from symstudy.components import component

NUMBER = 1.0
SIZES = (4, 4)
SEEN = []
NAMES = ["a"]
COUNT = 0
TABLE = {"kept": dict(a=1)}
LATER = 1
LATER = 2


def scaled(x, by=2.0, *, more=1):
    return NUMBER * by * x + HELPER.OFFSET + more


def wrapped(function):
    @functools.wraps(function)
    def inner(*args):
        return function(*args)

    return inner


@wrapped
def halved(x):
    SEEN.append(x)
    NAMES.append("b")
    return x / 2


def counted():
    global COUNT
    COUNT += 1
    return COUNT


if NUMBER > 0:
    def chosen():
        return 1
else:
    def chosen():
        return 2

quick = functools.lru_cache(lambda x: x)


class Base:
    pass


class Net(Base):
    width = 4
    __secret = 3

    def __init__(self, depth=2):
        self.depth = depth

    @property
    def area(self):
        return self.width * self.depth

    @staticmethod
    def flat(x):
        return x

    @functools.cached_property
    def kept(self):
        return 1

    def forward(self, x):
        return self.__scaled(x)

    def __scaled(self, x):
        return scaled(x) * self.__secret

    class Inner:
        def deep(self):
            return 1


class Renamed(Base):
    def first(self):
        return 1

    second = first


@component
class Part:
    power: float = 2.0


@dataclasses.dataclass(slots=True)
class Slotted:
    power: float = 2.0


class Pair(NamedTuple):
    first: int = 1


class Colour(enum.Enum):
    RED = 1


def loss(outputs, targets):
    return scaled(outputs)
"""
HELPER = "OFFSET = 0.0\n\n\ndef shifted(x):\n    return x + OFFSET\n"


@pytest.fixture
def own(tmp_path, request):
    """A module that imports another one; return the folder, its name, and that of the other."""
    mark = abs(hash(request.node.nodeid)) % 10**9
    name, helper = f"memory_{mark}", f"helper_{mark}"
    (tmp_path / f"{name}.py").write_text(MODULE.replace("HELPER", helper))
    (tmp_path / f"{helper}.py").write_text(HELPER)
    sys.path.insert(0, str(tmp_path))
    with looking_in(tmp_path):
        yield tmp_path, name, helper


def told(name):
    """Return why a run of now is refused."""
    load_own(f"{name}:loss", "train.loss")
    return changed_source(f"{name}:loss", source_of(f"{name}:loss"))


EDITS = {
    "a constant": ("NUMBER = 1.0", "NUMBER = 2.0"),
    "a tuple": ("SIZES = (4, 4)", "SIZES = (4, 8)"),
    "a function": ("return NUMBER * by", "return 3.0 * by"),
    "a default": ("by=2.0", "by=5.0"),
    "a default by keyword": ("more=1)", "more=3)"),
    "a decorated function": ("return x / 2", "return x / 3"),
    "a method": ("return self.__scaled(x)", "return 2 * self.__scaled(x)"),
    "a private method": ("return scaled(x) * self", "return scaled(x) + self"),
    "a property": ("return self.width * self.depth", "return self.width + self.depth"),
    "a constant of a class": ("    width = 4", "    width = 8"),
    "a default of a method": ("depth=2", "depth=3"),
    "a field of a component": (
        "class Part:\n    power: float = 2.0",
        "class Part:\n    power: float = 3.0",
    ),
    "a method that is new": (
        "class Base:\n    pass",
        "class Base:\n    def reset(self):\n        return 1",
    ),
    "a method that is gone": ("    def forward(self, x):\n        return self.__scaled(x)\n", ""),
    "a class inside of another": (
        "def deep(self):\n            return 1",
        "def deep(self):\n            return 2",
    ),
    "a base class": ("class Net(Base):", "class Net(dict):"),
    "a value that is worked out": ("dict(a=1)", "dict(a=2)"),
}


@pytest.mark.parametrize("what", EDITS)
def test_w3_a_module_that_was_imported_and_then_edited_is_refused(own, what, monkeypatch):
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    folder, name, _ = own
    importlib.import_module(name)
    file = folder / f"{name}.py"
    before, after = EDITS[what]
    text = file.read_text()
    assert before in text
    file.write_text(text.replace(before, after, 1) + "\n# Another size.\n")
    assert "Start Python again" in told(name)


@pytest.mark.parametrize(
    "what", [what for what in EDITS if what not in {"a base class", "a value that is worked out"}]
)
def test_w3_the_edit_is_seen_without_compiled_files_too(own, what, monkeypatch):
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    folder, name, _ = own
    importlib.import_module(name)
    file = folder / f"{name}.py"
    file.write_text(file.read_text().replace(*EDITS[what], 1) + "\n# Another size.\n")
    assert "is not what" in told(name)


def test_w3_a_module_that_a_module_imports_and_that_was_edited_is_refused(own):
    folder, name, helper = own
    importlib.import_module(helper)
    (folder / f"{helper}.py").write_text(HELPER.replace("0.0", "5.0"))
    assert "Start Python again" in told(name)


def test_w3_a_module_that_an_earlier_study_imported_and_that_was_edited_is_refused(own):
    folder, name, helper = own
    (folder / f"first_{name}.py").write_text(f"import {helper}\ndef loss(o, t):\n    return o\n")
    assert told(f"first_{name}") == ""
    (folder / f"{helper}.py").write_text(HELPER.replace("x + OFFSET", "x - OFFSET"))
    assert "Start Python again" in told(name)


ASSIGNED = {
    "a constant": lambda module, helper: setattr(module, "NUMBER", 7.0),
    "a function": lambda module, helper: setattr(module, "scaled", lambda x: x),
    "a method": lambda module, helper: setattr(module.Net, "forward", lambda self, x: x),
    "a constant of a class": lambda module, helper: setattr(module.Net, "width", 9),
    "a default": lambda module, helper: setattr(module.scaled, "__defaults__", (9.0,)),
    "code": lambda module, helper: setattr(module.scaled, "__code__", module.Net.flat.__code__),
    "a class": lambda module, helper: setattr(module, "Net", module.Base),
    "a constant of a module that it imports": lambda module, helper: setattr(helper, "OFFSET", 7.0),
    "nothing for a function": lambda module, helper: delattr(module, "scaled"),
}


@pytest.mark.parametrize("what", ASSIGNED)
def test_w3_a_module_that_something_was_assigned_to_is_refused(own, what):
    _, name, helper = own
    assert told(name) == ""
    ASSIGNED[what](sys.modules[name], sys.modules[helper])
    said = told(name)
    assert "is not what" in said
    assert "Start Python again" in said


def test_w3_a_module_that_was_reloaded_after_an_edit_is_refused(own):
    folder, name, _ = own
    assert told(name) == ""
    file = folder / f"{name}.py"
    text = file.read_text()
    file.write_text(text.replace("NUMBER = 1.0", "NUMBER = 22.0"))
    importlib.reload(sys.modules[name])
    file.write_text(text)
    assert "Start Python again" in told(name)


def test_a_module_as_it_is_is_trained_whatever_it_has_done(own):
    _, name, _ = own
    assert told(name) == ""
    module = sys.modules[name]
    for _ in range(300):
        module.halved(2.0)
        module.counted()
        module.scaled(1.0)
        assert module.Net().forward(1.0) == 9.0
    assert module.Net().kept == 1
    assert differing_name(module) == ""
    assert told(name) == ""


VARIABLES = """
import os
FIRST = os.environ["TRIAL_FIRST"] if "TRIAL_FIRST" in os.environ else ""
SECOND = os.environ.get("TRIAL_SECOND", "1")
HOME = os.environ["HOME"]
HUB_TOKEN = os.getenv("HUB_TOKEN")
os.environ["TRIAL_SET"] = "1"
os.environ.setdefault("TRIAL_DEFAULT", "1")
SET = os.environ.get("TRIAL_SET", os.environ.get("TRIAL_DEFAULT"))
def loss(outputs, targets):
    return outputs * float(os.getenv("TRIAL_THIRD", "1"))
"""


@pytest.mark.parametrize("variable", ["TRIAL_FIRST", "TRIAL_SECOND", "TRIAL_THIRD"])
def test_w3_the_value_of_a_variable_that_code_reads_counts_in_identity(own, variable, monkeypatch):
    folder, _, helper = own
    (folder / f"{helper}.py").write_text(VARIABLES)
    before = source_of(f"{helper}:loss")
    monkeypatch.setenv(variable, "3")
    assert source_of(f"{helper}:loss") != before
    assert variable in changed_source(f"{helper}:loss", before)


@pytest.mark.parametrize("variable", ["HOME", "HUB_TOKEN", "TRIAL_SET", "TRIAL_DEFAULT", "OTHER"])
def test_what_tells_of_the_machine_or_is_secret_does_not_count(own, variable, monkeypatch):
    folder, _, helper = own
    (folder / f"{helper}.py").write_text(VARIABLES)
    before = source_of(f"{helper}:loss")
    monkeypatch.setenv(variable, "3")
    assert source_of(f"{helper}:loss") == before


def test_a_source_that_reads_no_variable_is_the_hash_that_it_was(own):
    _, _, helper = own
    total = hashlib.sha256()
    total.update(f"{helper}.py|{len(HELPER)}|".encode() + HELPER.encode())
    assert source_of(f"{helper}:shifted") == total.hexdigest()


def test_w3_a_file_of_the_time_and_size_that_python_compiled_is_told_by_its_code(own, monkeypatch):
    """Python imports what it compiled before: a copy that keeps its time, an edit in one second."""
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    folder, name, _ = own
    file = folder / f"{name}.py"
    importlib.import_module(name)
    assert told(name) == ""
    at, text = file.stat(), file.read_text()
    assert "NUMBER = 1.0" in text
    file.write_text(text.replace("NUMBER = 1.0", "NUMBER = 9.0"))
    os.utime(file, ns=(at.st_atime_ns, at.st_mtime_ns))
    del sys.modules[name]
    module = importlib.import_module(name)
    assert module.NUMBER == 1.0
    assert was_edited(module)
    assert "__pycache__" in told(name)


def test_w3_a_function_with_a_set_is_the_same_in_every_process(tmp_path, root):
    """The order of texts in a set is another in each process: half of them refused the function."""
    names = ", ".join(repr(f"name{number}") for number in range(30))
    (tmp_path / "with_set.py").write_text(f"def known(x):\n    return x in {{{names}}}\n")
    asked = (
        "import sys; sys.dont_write_bytecode = False; import with_set\n"
        "from symstudy.components.in_memory import differing_name, was_edited\n"
        "print([differing_name(with_set), was_edited(with_set)])"
    )
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}:{root}"}
    for seed in ("1", "3", "4", "5", "7"):
        said = subprocess.run(
            [sys.executable, "-c", asked],
            env=environment | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        )
        assert said.stdout == "['', False]\n"
