import pytest

from symstudy.quantities import duration, read_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("30min", 1800), ("30m", 1800), ("2h", 7200), ("1.5d", 129_600),
     ("1h30m", 5400), (" 1h 30min ", 5400), ("0.5s", 0.5)],
)  # fmt: skip
def test_a_duration_is_read(text, seconds):
    assert read_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "2", "h", "-2h", "2 weeks", "0s", "2h!", "inf s", "1e3s"])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(ValueError, match="must be a duration above 0 such as"):
        read_duration(text)


def test_durations_are_said_as_they_can_be_read():
    assert [duration(seconds) for seconds in (45, 600, 7200, 300_000)] == [
        "45 s", "10 min", "2.0 h", "3.5 days",
    ]  # fmt: skip
