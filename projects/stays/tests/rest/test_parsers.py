import pytest
from rest_framework.test import APIClient

from stays.accounts.models import User
from stays.rest.parsers import read_json

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    "body",
    [
        "[" * 50_000 + "]" * 50_000,
        '{"a":' * 15_000 + "1" + "}" * 15_000,
        '{"email": NaN}',
        '{"email": -Infinity}',
        "{",
        "",
        "1" * 5_000,  # more digits than Python makes an integer of
        b'\xff\xfe{\x00"\x00a\x00"\x00:\x001\x00}\x00',  # UTF-16, which json.loads would guess
        b'{"email": "\xff"}',
        r'{"\ud800": 1}',
        r'{"email": ["\uDFFF"]}',
        '{"email": "a@example.com", "email": "b@example.com", "password": "secret"}',
        '{"email": {"a": 1, "a": 1}}',
    ],
    ids=[
        "lists",
        "objects",
        "NaN",
        "infinity",
        "cut",
        "empty",
        "digits",
        "UTF-16",
        "no UTF-8",
        "half a pair as a name",
        "half a pair",
        "a name twice",
        "a name twice inside",
    ],
)
def test_what_is_not_json_is_the_clients_fault(api: APIClient, body: str | bytes) -> None:
    data = body if isinstance(body, bytes) else body.encode()
    answer = api.generic("POST", "/api/v1/auth/register", data, content_type="application/json")
    assert answer.status_code == 400
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["code"] == ("parse_error" if body else "invalid")  # nothing is {} to DRF
    assert not User.objects.exists()


def test_a_pair_of_surrogates_is_one_character() -> None:
    assert read_json(r'{"text": "\ud83d\ude00 \\ud800"}') == {"text": "\N{GRINNING FACE} \\ud800"}
