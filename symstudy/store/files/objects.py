"""Object stores by way of obstore: pyarrow, which does the rest, has no conditional writes."""

import configparser
import datetime
import functools
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pyarrow import fs

from symstudy.errors import StoreError

if TYPE_CHECKING:
    from obstore.store import ObjectStore

__all__ = ["Place", "open_objects", "plain_place"]

PREFIXES = ("AWS_", "GOOGLE_", "AZURE_")
RETRY: Any = {"max_retries": 10, "retry_timeout": datetime.timedelta(seconds=90)}


class Place(NamedTuple):
    """A path, without the folders that pyarrow puts in front of those of another file system.

    Attributes:
        filesystem: The file system that really holds it.
        path: Path within that.
    """

    filesystem: fs.FileSystem
    path: str


class Objects(NamedTuple):
    """A bucket, and a key in it.

    Attributes:
        store: The bucket.
        key: Name of the object.
    """

    store: "ObjectStore"
    key: str


def plain_place(filesystem: fs.FileSystem, path: str) -> Place:
    """Return where `path` is, seen through file systems that show a folder of another one."""
    while isinstance(filesystem, fs.SubTreeFileSystem):
        path = f"{filesystem.base_path.rstrip('/')}/{path.lstrip('/')}"
        filesystem = filesystem.base_fs
    return Place(filesystem, path)


def open_objects(place: Place) -> Objects:
    """Return the bucket of a path in an object store, reached as pyarrow reaches it.

    Args:
        place: A path that begins with the name of the bucket.

    Raises:
        StoreError: If the file system is no object store with conditional writes.
    """
    kind = place.filesystem.type_name
    if kind not in {"s3", "gcs", "abfs"}:
        raise StoreError(
            "results must be in a folder, or in an object store that can write on condition (s3, "
            f"gs, abfs), but {place.path!r} is in a file system of the kind {kind!r}. Name another "
            "place with --results."
        )
    bucket, _, key = place.path.partition("/")
    # What pyarrow was told, as it hands it to another process.
    options = place.filesystem.__reduce__()[1][0]
    told = options if isinstance(options, dict) else {}
    # obstore takes credentials from the environment when a bucket is opened.
    keys = tuple(sorted(pair for pair in os.environ.items() if pair[0].startswith(PREFIXES)))
    return Objects(open_bucket(kind, bucket, json.dumps(told, default=str), keys), key)


@functools.lru_cache(maxsize=16)
def open_bucket(
    kind: str, bucket: str, options: str, _environment: tuple[tuple[str, str], ...]
) -> "ObjectStore":
    """Return a bucket; `options` are those of pyarrow's file system, as JSON."""
    from obstore.store import AzureStore, GCSStore

    told = json.loads(options)
    if kind == "gcs":
        return GCSStore(bucket, retry_config=RETRY)
    if kind == "abfs":
        return AzureStore(bucket, account_name=told.get("account_name"), retry_config=RETRY)
    return open_s3(bucket, told)


def open_s3(bucket: str, told: dict[str, Any]) -> "ObjectStore":
    """Return a bucket of S3, or of a server that speaks as S3 does."""
    from obstore.store import S3Store

    endpoint = told.get("endpoint_override") or ""
    if endpoint and "://" not in endpoint:
        endpoint = f"{told.get('scheme') or 'https'}://{endpoint}"
    given = {
        "region": told.get("region"),
        "endpoint": endpoint,
        "access_key_id": told.get("access_key"),
        "secret_access_key": told.get("secret_key"),
        "session_token": told.get("session_token"),
        "skip_signature": told.get("anonymous"),
    }
    config: Any = {key: value for key, value in given.items() if value}
    if not {"access_key_id", "skip_signature"} & set(config):
        # The environment, web identities and the machine's own role are obstore's business.
        config |= profile_credentials()
    return S3Store(
        bucket,
        config=config,
        client_options={"allow_http": endpoint.startswith("http://")},
        retry_config=RETRY,
    )


def profile_credentials() -> dict[str, str]:
    """Return the key in `~/.aws/credentials`, which pyarrow reads and obstore does not."""
    if "AWS_ACCESS_KEY_ID" in os.environ:
        return {}
    default = Path.home() / ".aws" / "credentials"
    parser = configparser.RawConfigParser()
    try:
        parser.read(os.environ.get("AWS_SHARED_CREDENTIALS_FILE", default), encoding="utf-8")
        section = dict(parser.items(os.environ.get("AWS_PROFILE", "default")))
    except (configparser.Error, UnicodeDecodeError):
        return {}
    names = {
        "aws_access_key_id": "access_key_id",
        "aws_secret_access_key": "secret_access_key",
        "aws_session_token": "session_token",
    }
    return {names[key]: value for key, value in section.items() if key in names}
