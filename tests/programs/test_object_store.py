"""Programs whose results are in an object store."""

import uuid

import pytest

from symstudy.launch import InlineLauncher, open_study_folder, run_study
from symstudy.store import Store, verify
from symstudy.testing.object_store import s3_environment, s3_server


@pytest.fixture
def results(monkeypatch):
    """Address of a folder in a bucket of a server on this machine."""
    import boto3

    monkeypatch.setattr("symstudy.launch.stop_poll.POLL_S", 0.0)
    with s3_server() as address:
        keys = {"aws_access_key_id": "researcher", "aws_secret_access_key": "secret"}
        client = boto3.client("s3", endpoint_url=address, region_name="us-east-1", **keys)
        client.create_bucket(Bucket="studies")
        with s3_environment(address):
            yield f"s3://studies/{uuid.uuid4().hex}"


@pytest.mark.slow
def test_a_run_goes_on_elsewhere_from_what_was_saved(write_study, results, saves, stop_at):
    study = write_study(saves)
    folder = open_study_folder(results, study)
    run_study(study, results, InlineLauncher(device="cpu"), listeners=[stop_at(8)])
    (run,) = study.runs()
    assert folder.list_files(f"work/{run.run_id}", ".state")
    summary = run_study(study, results, InlineLauncher(device="cpu"))
    assert summary.done == 1
    rows = Store([folder]).sql("select step, attempt from history order by step").rows
    assert [step for step, _ in rows] == list(range(1, 21))
    assert {attempt for _, attempt in rows} == {1, 2}
    assert verify(folder).is_proven
    assert not folder.list_files(f"work/{run.run_id}", "")
