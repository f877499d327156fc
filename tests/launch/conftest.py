"""A study of seconds, a listener that remembers, and an S3 server that checks signatures."""

import json
import os
import sys
import urllib.request

import pytest

from symstudy.launch import (
    InlineLauncher,
    LaunchPlanned,
    PackEnded,
    PackLost,
    PackProgressed,
    PackRetried,
    PackStarted,
    open_study_folder,
    run_study,
)
from symstudy.store import Store
from symstudy.testing.object_store import s3_environment, s3_server


class Recorder:
    """Keeps all events."""

    def __init__(self):
        self.events = []

    def __call__(self, event):
        self.events.append(event)

    def of(self, kind):
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def launches(self):
        return self.of(LaunchPlanned)

    @property
    def assignments(self):
        return [event.assignment for event in self.of(PackStarted)]

    @property
    def progress(self):
        return [(event.pack_id, event.run_steps) for event in self.of(PackProgressed)]

    @property
    def reports(self):
        return [event.report for event in self.of(PackEnded)]

    @property
    def retries(self):
        return [event.pack_id for event in self.of(PackRetried)]

    @property
    def losses(self):
        return [event.pack_id for event in self.of(PackLost)]


@pytest.fixture
def recorder():
    return Recorder()


@pytest.fixture
def run_inline(tmp_path):
    """Run a study in this process and return what was done and SQL access to it."""

    def run(study, **options):
        launcher = InlineLauncher(device="cpu")
        summary = run_study(study, str(tmp_path), launcher, **options)
        return summary, Store([open_study_folder(str(tmp_path), study)])

    return run


WRONG = """
import torch


class Wrong(torch.nn.Linear):
    def __init__(self, input_dim, output_dim):
        super().__init__(input_dim, output_dim)

    def forward(self, x):
        if len(x) > 5:  # more samples than a module is tried on before
            raise RuntimeError("it happens in training")
        return super().forward(x)
"""


@pytest.fixture
def failing_model(tmp_path, monkeypatch):
    """Return the table of a model that can be planned and fails in training."""
    (tmp_path / "wrong_nets.py").write_text(WRONG)
    monkeypatch.syspath_prepend(tmp_path)
    yield {"kind": "wrong_nets:Wrong"}
    sys.modules.pop("wrong_nets", None)


@pytest.fixture(scope="session")
def signed_server():
    """The address of an S3 server that checks signatures, and the key of its one user."""
    import boto3

    with s3_server() as address:
        where = {"endpoint_url": address, "region_name": "us-east-1"}
        first = {"aws_access_key_id": "first", "aws_secret_access_key": "first"}
        boto3.client("s3", **where, **first).create_bucket(Bucket="studies")
        users = boto3.client("iam", **where, **first)
        users.create_user(UserName="researcher")
        statement = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
        policy = {"Version": "2012-10-17", "Statement": [statement]}
        users.put_user_policy(
            UserName="researcher", PolicyName="results", PolicyDocument=json.dumps(policy)
        )
        key = users.create_access_key(UserName="researcher")["AccessKey"]
        # From now on nobody gets in without a signature.
        urllib.request.urlopen(
            urllib.request.Request(
                f"{address}/moto-api/reset-auth", b"0", {"Content-Type": "text/plain"}
            )
        ).close()
        yield address, key["AccessKeyId"], key["SecretAccessKey"]


@pytest.fixture(scope="module")
def storage(signed_server):
    """A bucket on that server, with its address and key in the environment."""
    address, name, secret = signed_server
    with s3_environment(address):
        os.environ |= {"AWS_ACCESS_KEY_ID": name, "AWS_SECRET_ACCESS_KEY": secret}
        yield "s3://studies"
