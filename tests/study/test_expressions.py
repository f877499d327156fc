import pytest

from symstudy.study.expressions import LONGEST, ExpressionError, read_expression

KEYS = {
    "model.width": 8,
    "train.lr": 0.1,
    "train.optimizer": "sgd",
    "model.bias": True,
    "probe.measures": ("rank",),
}


def value(text):
    return read_expression(text).evaluate(KEYS.__getitem__)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("4 * model.width", 32),
        ("model.width // 3 + model.width % 3", 4),
        ("model.width / 4", 2.0),
        ("-model.width ** 2", -64),
        ("3 * train.lr", 0.3),
        ("train.lr", 0.1),
        ("max(model.width, 16, 2)", 16),
        ("round(sqrt(model.width))", 3),
        ("round(train.lr / 3, 4)", 0.0333),
        ("log2(model.width)", 3.0),
        ("'wide'", "wide"),
        ("train.optimizer == 'sgd' and not model.width > 8", True),
        ("train.optimizer in ['adam', 'adamw'] or model.bias == false", False),
        ("model.width not in [4, 16]", True),
        ("4 < model.width <= 8", True),
        ("'rank' in probe.measures", True),
        ("model.bias or model.width", True),
    ],
)
def test_an_expression_has_the_value_of_its_arithmetic(text, expected):
    found = value(text)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')",
        "model.width.__class__()",
        "(lambda: 1)()",
        "[x for x in (1, 2)]",
        "open('x')",
        "model['width']",
        "f'{model.width}'",
        "1 if true else 2",
        "model.width is 8",
        "model.width << 3",
        "max(*probe.measures)",
        "round(number=1.5)",
        "1j",
        "None",
        "x := 3",
        "width",
        "'a'.join",
        "1 +",
        "",
        "not " * 100 + "true" + " " * LONGEST,
        "(" * 190 + "1" + ")" * 190 + "+ width",
    ],
)
def test_nothing_else_of_python_can_be_written(text):
    with pytest.raises(ExpressionError, match="must"):
        read_expression(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("9 ** 9 ** 9", "must be a number that fits"),
        ("2.0 ** 5000", "has none"),
        ("round(5, -99999999)", "from 0 to 12"),
        ("model.width / 0", r"`/` of 8, 0 has none"),
        ("sqrt(0 - 1)", "`sqrt` of -1 has none"),
        ("(0 - 8) ** 0.5", "must be a real number"),
        ("'a' * 1000000", "must have numbers"),
        ("train.optimizer < 3", "must have numbers for `<`, but got 'sgd'"),
        ("model.bias * 2", "must have numbers"),
        ("model.width and true", "must have true or false for `and`, but got 8"),
        ("'s' in train.optimizer", "must have a list after `in`"),
    ],
)
def test_an_expression_without_a_value_says_why(text, message):
    with pytest.raises(ExpressionError, match=message):
        value(text)


def test_what_is_worked_out_has_digits_that_all_machines_agree_on():
    assert repr(value("train.lr * 3")) == "0.3"
    assert repr(value("sqrt(2)")) == "1.41421356237"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 // 0.1", 10.0),
        ("0.3 // 0.1", 3.0),
        ("1 % 0.1", 0.0),
        ("round(1 // 0.1)", 10),
        ("0.1 * 3 == 0.3", True),
        ("0.1 * 3 > 0.3", False),
        ("0.1 * 3 in [0.3, 1]", True),
        ("-7 % 3", 2),
        ("-7 // 2", -4),
        ("7.5 % -2", -0.5),
        ("2 ** 60 + 1 == 2 ** 60", False),
    ],
)
def test_what_differs_by_rounding_is_equal_within_an_expression_too(text, expected):
    nothing: dict[str, object] = {}
    assert read_expression(text).evaluate(nothing.__getitem__) == expected
