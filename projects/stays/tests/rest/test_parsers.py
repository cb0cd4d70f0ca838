import pytest
from rest_framework.test import APIClient

from stays.accounts.models import User

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    "body",
    [
        "[" * 50_000 + "]" * 50_000,
        '{"a":' * 20_000 + "1" + "}" * 20_000,
        '{"email": NaN}',
        '{"email": -Infinity}',
        "{",
        "",
        "1" * 5_000,  # more digits than Python makes an integer of
        b'\xff\xfe{\x00"\x00a\x00"\x00:\x001\x00}\x00',  # UTF-16, which json.loads would guess
        b'{"email": "\xff"}',
    ],
    ids=["lists", "objects", "NaN", "infinity", "cut", "empty", "digits", "UTF-16", "no UTF-8"],
)
def test_what_is_not_json_is_the_clients_fault(api: APIClient, body: str | bytes) -> None:
    data = body if isinstance(body, bytes) else body.encode()
    answer = api.generic("POST", "/api/v1/auth/register", data, content_type="application/json")
    assert answer.status_code == 400
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert not User.objects.exists()
