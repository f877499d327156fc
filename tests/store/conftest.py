"""A planted study."""

import uuid

import pytest

from symstudy.store import StudyFolder, open_location
from symstudy.study import make_study
from symstudy.testing.object_store import s3_environment, s3_server
from symstudy.testing.stores import plant_store


def measures_of(run):
    gamma = run.cell.train.gamma
    if gamma == 0.1 and run.seed == 1:
        return {"outcome": "diverged", "reason": "The loss grew.", "test_loss": None}
    return {
        "test_loss": run.cell.model.width + gamma + run.seed,
        "distinct_neurons": run.cell.model.width,
        "squared_norm": 1.0,
    }


@pytest.fixture
def study():
    return make_study(
        {
            "schema": 1,
            "name": "planted",
            "title": "Planted",
            "model": {"kind": "fcn"},
            "data": {"kind": "identity"},
            "train": {"lr": 0.01},
            "sweep": {"model.width": [4, 8], "train.gamma": [0.0, 0.1], "seed": 3},
        }
    )


@pytest.fixture
def store(tmp_path, study):
    return plant_store(tmp_path, study, measures_of, pack_size=5)


@pytest.fixture(scope="session")
def s3():
    """Address of an S3 server with a bucket `studies`."""
    import boto3

    with s3_server() as address:
        keys = {"aws_access_key_id": "researcher", "aws_secret_access_key": "secret"}
        client = boto3.client("s3", endpoint_url=address, region_name="us-east-1", **keys)
        client.create_bucket(Bucket="studies")
        yield address


@pytest.fixture
def remote(s3):
    """A folder of its own in the bucket."""
    with s3_environment(s3):
        yield StudyFolder(*open_location(f"s3://studies/{uuid.uuid4().hex}/planted"))
