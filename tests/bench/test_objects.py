"""The object storage: it signs, it checks, and it is gone afterwards."""

from collections.abc import Iterator

import httpx
import psutil
import pytest

import nexus
from nexus import needs
from nexus.services import MissingProgram, Objects, ServiceError
from nexus.services.process import wait_for
from tests.leftovers import PATIENCE

pytestmark = pytest.mark.skipif(
    bool(why := needs.missing("# needs: juicefs, boto3")), reason=str(why)
)


@pytest.fixture(scope="module")
def store() -> Iterator[Objects]:
    with nexus.objects() as store:
        yield store


def test_it_keeps_and_gives(store: Objects) -> None:
    client = store.connect()
    client.put_object(Bucket=store.bucket, Key="a.txt", Body=b"hello")
    assert client.get_object(Bucket=store.bucket, Key="a.txt")["Body"].read() == b"hello"
    assert store.url.startswith("http://127.0.0.1:")
    assert store.secret_key not in repr(store)
    client.close()


def test_it_refuses_strangers_and_changed_signatures(store: Objects) -> None:
    client = store.connect()
    where = {"Bucket": store.bucket, "Key": "b.txt"}
    link = client.generate_presigned_url("put_object", Params=where, ExpiresIn=60)
    assert httpx.put(link, content=b"mine").status_code == 200
    for changed in (link.replace("b.txt", "c.txt"), link.replace("=60", "=600")):
        answer = httpx.put(changed, content=b"mine")
        assert (answer.status_code, "SignatureDoesNotMatch" in answer.text) == (403, True)
    assert httpx.get(f"{store.url}/{store.bucket}/b.txt").status_code == 403
    client.close()


def test_close_leaves_no_process_and_no_file() -> None:
    store = nexus.objects("other-bucket")
    (process,) = store.processes()
    store.close()
    wait_for(lambda: not psutil.pid_exists(process.pid), PATIENCE, "the gateway to be gone")
    assert not store.directory.exists()


def test_a_name_that_no_bucket_can_have_is_refused() -> None:
    with pytest.raises(ServiceError, match="could not make the bucket 'No Name': "):
        nexus.objects("No Name")


def test_missing_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEXUS_JUICEFS", "/nowhere")
    with pytest.raises(MissingProgram, match="NEXUS_JUICEFS names /nowhere") as failure:
        nexus.objects()
    assert "\n" not in str(failure.value)
