"""An export service in front of the session's DynamoDB Local, an S3 server that verifies signatures, and the program told of both."""

import uuid

import pytest

from harness import tables
from harness.exports import export_service
from harness.moveout import Moveout
from harness.servers import s3proxy

SCHEMA = (("id", "S"), ("n", "N"))


@pytest.fixture(scope="session")
def s3():
    with s3proxy() as server:
        yield server


@pytest.fixture
def bucket(s3):
    name = "exports-" + uuid.uuid4().hex[:12]
    s3.client().create_bucket(Bucket=name)
    return name


@pytest.fixture
def exports(dynamodb, s3):
    with export_service(dynamodb, s3) as service:
        yield service


@pytest.fixture
def moveout(tmp_path, dynamodb, s3):
    environment = {**dynamodb.environment(), "AWS_ENDPOINT_URL_S3": s3.endpoint,
                   "AWS_ACCESS_KEY_ID": s3.access_key, "AWS_SECRET_ACCESS_KEY": s3.secret_key}
    program = Moveout(cwd=tmp_path, env=environment)
    yield program
    program.stop_all()


@pytest.fixture
def table(dynamodb, table_name):
    client = dynamodb.client()
    tables.create_table(client, table_name, SCHEMA, stream=None)
    tables.fill(client, table_name, 300, SCHEMA)
    yield table_name
    client.delete_table(TableName=table_name)
