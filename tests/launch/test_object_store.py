"""Results on an S3 server that checks signatures, from one machine."""

import time

import pytest

from symstudy.cli import main
from symstudy.errors import StoreError
from symstudy.launch import InlineLauncher, run_study

# Beside the cluster that uses it, so that one server serves all.
pytestmark = pytest.mark.xdist_group("ray")


def test_the_command_line_reads_an_object_store(storage, study_of, monkeypatch, capsys):
    study = study_of(sweep={"seed": 2}, pack={"device": "cpu", "certify": 0})
    run_study(study, f"{storage}/read", InlineLauncher(device="cpu"))
    for words, said in (
        (("status", f"{storage}/read"), "small"),
        (("verify", f"{storage}/read"), "proven: 2 planned = 2 done"),
        (("query", f"{storage}/read", "select count(*) as trained from runs"), "2"),
    ):
        monkeypatch.setattr("sys.argv", ["symstudy", *words])
        with pytest.raises(SystemExit) as end:
            main()
        told = capsys.readouterr()
        assert not end.value.code, told.err
        assert said in told.out + told.err


@pytest.mark.parametrize(
    ("variables", "bucket", "said"),
    [
        ({"AWS_SECRET_ACCESS_KEY": "wrong"}, "studies", "403 Forbidden.*AWS_ACCESS_KEY_ID"),
        ({"AWS_ACCESS_KEY_ID": "nobody"}, "studies", "403 Forbidden.*AWS_ACCESS_KEY_ID"),
        ({}, "no-such-bucket", "not found.*Make the bucket"),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, "studies", "error sending request"),
    ],
    ids=["secret", "key", "bucket", "endpoint"],
)
def test_an_object_store_that_refuses_is_named_within_seconds(
    storage, study_of, monkeypatch, variables, bucket, said
):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    start = time.monotonic()
    with pytest.raises(StoreError, match=said):
        run_study(study_of(), f"s3://{bucket}/results", InlineLauncher(device="cpu"))
    # Generous, for a machine that does other things: it must not be minutes.
    assert time.monotonic() - start < 60
