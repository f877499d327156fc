"""Every key of a study file with its meaning, read from the dataclasses that check it."""

from typing import Any

from symstudy.components import Key, fields_of, keys_of, keys_of_group
from symstudy.study.pairs import PairsConfig
from symstudy.study.program import Program
from symstudy.study.search_keys import ConfirmConfig, HaltConfig, SearchConfig
from symstudy.study.sections import PackConfig, ProbeConfig
from symstudy.study.train import Train

__all__ = ["Key", "describe_keys"]

HEADER = (
    Key("", "schema", "", "1", "Version of the file's form; required."),
    Key("", "name", "", "text", "Name of the study and of its folder of results; required."),
    Key("", "title", "", "text", "What the study is about, in a line."),
    Key("", "description", "", "text", "What a reader of the report should know."),
    Key("", "claims", "[]", "list of names", "Claims that its results are to test."),
    Key(
        "",
        "kind",
        "study",
        "study | pilot | replication",
        "What it is for: to decide, to explore without verdicts, or to decide again.",
    ),
    Key("", "replicates", "", "name", "Of a replication: the study that it tests again."),
    Key("", "rules", "{}", "table of hashes", "Of a replication: the frozen rule of each claim."),
    Key("", "preset", "", "name", "Preset that holds where none is named; 'none' leaves it out."),
)
SETTINGS = (
    Key(
        "config",
        "any key",
        "",
        "number, text, true or false, list, or table of these",
        "A hyperparameter of a program: swept as config.KEY, read as run.config, and a column.",
    ),
)
SWEEP = (
    Key(
        "sweep",
        '"table.key"',
        "",
        "list, {log = [low, high], num = n}, {linear = [low, high], num = n} or {values = [...]}",
        'An axis of the grid: any key of the tables above. A table may have `when = "..."` beside: '
        "the axis varies only where that expression holds.",
    ),
    Key("sweep", "seed", "1", "number or list", "Replicates: 5 means the seeds 0 to 4."),
    Key(
        "sweep",
        "max_runs",
        "1000000",
        "number",
        "A study of more runs is refused before its cells are made; allow for them here.",
    ),
    Key("sweep", "zip", "[]", "list of lists of axes", "Axes that move together, not as a grid."),
)
DERIVE = Key(
    "derive",
    '"table.key"',
    "",
    "expression in quotes",
    'A key that follows from others, such as "model.mlp_width" = "4 * model.width".',
)
SPACE = Key(
    "search.space",
    '"table.key"',
    "",
    "{log = [low, high]}, {linear = [low, high]}, {values = [...]} or list",
    "What may vary: any key of the tables above that is neither fixed nor swept; of a key "
    "of whole numbers these alone where both ends are. A table may have `when`, as in [sweep], "
    "but for bisect and cmaes.",
)
CONFIRM_SET = Key(
    "search.confirm",
    "set",
    "{}",
    "table of keys",
    'Keys that a find is trained again with, such as { "train.tolerance" = 1e-12 }.',
)
PRESETS = Key(
    "presets.NAME",
    "any key",
    "",
    "",
    "Merged over the file; tables of the sweep and of the search's space are merged too.",
)


def describe_keys() -> list[Key]:
    """Return all keys in the order in which a study file has them."""
    return [
        *HEADER,
        *keys_of_group("model", "models"),
        *keys_of_group("data", "datasets"),
        *keys_of("train", Train),
        *chosen_keys(Train),
        *keys_of("program", Program),
        *SETTINGS,
        *keys_of("probe", ProbeConfig),
        *keys_of("pairs", PairsConfig),
        *keys_of("pack", PackConfig),
        *SWEEP,
        DERIVE,
        *keys_of("search", SearchConfig),
        SPACE,
        *keys_of("search.confirm", ConfirmConfig),
        CONFIRM_SET,
        *keys_of("search.halt", HaltConfig),
        PRESETS,
    ]


def chosen_keys(cls: type[Any]) -> list[Key]:
    """Return the keys of the components that a table names, under `table role KIND`."""
    return [
        key
        for field in fields_of(cls)
        if field.choice is not None
        for key in keys_of_group(f"{cls.table} {field.name}", field.choice.group)
        if key.key != "kind"
    ]
