from types import SimpleNamespace
from typing import Any

from symstudy.cli.progress import RunDisplay
from symstudy.launch import Launch, PackReport
from symstudy.study import plan_packs


def test_a_plain_line_has_runs_lanes_speed_and_time_left(study_of, capsys, monkeypatch):
    study = study_of(sweep={"seed": 4}, pack={"size": 2})
    packs = plan_packs(study.runs(), study.pack)
    clock = iter(range(0, 1000, 20))
    monkeypatch.setattr("symstudy.cli.progress.time.monotonic", lambda: next(clock))
    with RunDisplay() as display:
        folder: Any = SimpleNamespace(name="small")
        display.announced(
            Launch(folder=folder, planned=6, ended=2, packs=packs, workers=2, device="cpu")
        )
        display.progressed(packs[0].pack_id, 20)
        display.ended(
            PackReport(pack_id=packs[0].pack_id, runs=2, failed=1, run_steps=40, seconds=1.0)
        )
        display.retried(packs[1].pack_id)
    said = capsys.readouterr().err
    assert "small: 6 runs, 2 ended before; 4 left in 2 packs on 2 cpu workers" in said
    assert "3/6 runs, 1 failed" in said
    assert "steps/s" in said
    assert "left" in said
    assert "a worker died" in said
