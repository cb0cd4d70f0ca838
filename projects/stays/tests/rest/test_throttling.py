from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest
import redis
from django.http import HttpRequest
from rest_framework.test import APIClient, APIRequestFactory

from stays.rest import throttling
from stays.rest.throttling import Rate, client_address, take
from tests.factories import make_user
from tests.racing import race

ME = "/api/v1/me"
LOGIN = "/api/v1/auth/login"
NOWHERE = "redis://127.0.0.1:1/0"


def limit(settings: Any, **rates: str | None) -> None:
    none = {"anon": None, "user": None, "register": None, "reset": None}
    settings.REST_FRAMEWORK = settings.REST_FRAMEWORK | {"DEFAULT_THROTTLE_RATES": none | rates}


def move_valkey_away(settings: Any) -> None:
    default = settings.CACHES["default"] | {"LOCATION": NOWHERE}
    settings.CACHES = settings.CACHES | {"default": default}


@pytest.mark.parametrize(
    ("text", "expected"),
    [("100/m", (100, 60)), ("10/15m", (10, 900)), ("1/s", (1, 1)), ("5/2d", (5, 172_800))],
)
def test_a_rate_is_read(text: str, expected: tuple[int, int]) -> None:
    rate = Rate.parse(text)
    assert (rate.limit, rate.seconds) == expected


@pytest.mark.parametrize("text", ["", "5", "5/", "-5/m", "5/w", "5/m ", "m/5", "5 / m"])
def test_what_is_no_rate_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a rate"):
        Rate.parse(text)


def test_a_counter_takes_as_many_as_its_limit(valkey: redis.Redis) -> None:
    rate = Rate(limit=3, seconds=60)
    waits = [take({"a": rate}) for _ in range(5)]
    assert waits[:3] == [0, 0, 0]
    assert all(50 < wait <= 60 for wait in waits[3:])
    assert valkey.get("a") == b"3"  # what is refused is not counted


def test_the_window_begins_with_the_first_and_is_not_prolonged(valkey: redis.Redis) -> None:
    take({"a": Rate(limit=3, seconds=60)})
    valkey.pexpire("a", 1_500)
    take({"a": Rate(limit=3, seconds=60)})
    assert 0 < valkey.pttl("a") <= 1_500
    take({"a": Rate(limit=3, seconds=60)})
    assert take({"a": Rate(limit=3, seconds=60)}) in (1, 2)  # rounded up, never 0
    valkey.delete("a")  # as Valkey does at the window's end
    assert take({"a": Rate(limit=3, seconds=60)}) == 0


def test_of_two_counters_both_count_or_none(valkey: redis.Redis) -> None:
    small, large = Rate(limit=1, seconds=60), Rate(limit=9, seconds=3_600)
    assert take({"small": small, "large": large}) == 0
    assert 0 < take({"small": small, "large": large}) <= 60
    assert (valkey.get("small"), valkey.get("large")) == (b"1", b"1")


@pytest.mark.django_db(transaction=True)
def test_of_many_at_once_as_many_as_the_limit_pass() -> None:
    got = race(lambda _: take({"a": Rate(limit=7, seconds=60)}) == 0, 40)
    assert Counter(got) == {True: 7, False: 33}


def test_counting_is_one_round_trip(valkey: redis.Redis) -> None:
    rate = Rate(limit=9, seconds=60)
    take({"a": rate})  # from now on the server knows the script
    before = valkey.info("commandstats")
    take({"a": rate})
    after = valkey.info("commandstats")
    sent = {
        name: stats["calls"] - before.get(name, {"calls": 0})["calls"]
        for name, stats in after.items()
    }
    within_the_script = {"cmdstat_get", "cmdstat_incr", "cmdstat_info"}
    assert {name for name, calls in sent.items() if calls} - within_the_script == {
        "cmdstat_evalsha"
    }
    assert sent["cmdstat_evalsha"] == 1


@pytest.mark.parametrize(
    ("proxies", "peer", "forwarded", "expected"),
    [
        (0, "192.0.2.1", None, "192.0.2.1"),
        (0, "192.0.2.1", "198.51.100.7", "192.0.2.1"),  # anybody can write this
        (1, "192.0.2.1", "198.51.100.7", "198.51.100.7"),
        (1, "192.0.2.1", "203.0.113.9, 198.51.100.7", "198.51.100.7"),
        (2, "192.0.2.1", "1.1.1.1,203.0.113.9, 198.51.100.7", "203.0.113.9"),
        (2, "192.0.2.1", "198.51.100.7", "198.51.100.7"),  # past the outer proxy
        (1, "192.0.2.1", None, "192.0.2.1"),
        (1, "192.0.2.1", "nonsense", "unknown"),
        (1, "192.0.2.1", "203.0.113.9,", "unknown"),
        (0, "", None, "unknown"),  # a socket
        (0, "2001:db8:1:2:3:4:5:6", None, "2001:db8:1:2::/64"),
        (0, "2001:db8:1:2::9", None, "2001:db8:1:2::/64"),
        (0, "::ffff:192.0.2.1", None, "192.0.2.1"),
    ],
)
def test_the_client_s_address(
    settings: Any, proxies: int, peer: str, forwarded: str | None, expected: str
) -> None:
    settings.TRUSTED_PROXIES = proxies
    request = HttpRequest()
    request.META = {"REMOTE_ADDR": peer}
    if forwarded is not None:
        request.META["HTTP_X_FORWARDED_FOR"] = forwarded
    assert client_address(request) == expected


@pytest.mark.django_db
def test_anonymous_requests_are_limited_by_address(settings: Any, api: APIClient) -> None:
    limit(settings, anon="2/h")
    body = {"email": "nobody@example.com", "password": "wrong"}
    got = [api.post(LOGIN, body) for _ in range(3)]
    assert [response.status_code for response in got] == [401, 401, 429]
    assert got[2]["Content-Type"] == "application/problem+json"
    assert got[2].json()["code"] == "throttled"
    assert 3_590 < int(got[2]["Retry-After"]) <= 3_600
    assert api.post(LOGIN, body, REMOTE_ADDR="192.0.2.7").status_code == 401


@pytest.mark.django_db
def test_a_header_that_anybody_can_write_is_no_way_around(settings: Any, api: APIClient) -> None:
    limit(settings, anon="2/h")
    body = {"email": "nobody@example.com", "password": "wrong"}
    got = [api.post(LOGIN, body, HTTP_X_FORWARDED_FOR=f"192.0.2.{n}") for n in range(3)]
    assert [response.status_code for response in got] == [401, 401, 429]


@pytest.mark.django_db
def test_users_are_limited_wherever_they_are(settings: Any, as_user: Any) -> None:
    limit(settings, user="2/m", anon="0/m")
    one, other = make_user(), make_user()
    got = [as_user(one).get(ME, REMOTE_ADDR=f"192.0.2.{n}").status_code for n in range(3)]
    assert got == [200, 200, 429]
    assert as_user(other).get(ME).status_code == 200


@pytest.mark.django_db
def test_without_a_rate_nothing_is_counted(api: APIClient, valkey: redis.Redis) -> None:
    api.post("/api/v1/auth/refresh", {"refresh": "x"})
    assert valkey.keys("throttle:*") == []


@pytest.mark.django_db
def test_with_valkey_down_requests_pass(settings: Any, as_user: Any) -> None:
    limit(settings, user="1/m")
    move_valkey_away(settings)
    client = as_user(make_user())
    assert [client.get(ME).status_code for _ in range(3)] == [200, 200, 200]


def test_registrations_are_counted_by_address(settings: Any) -> None:
    limit(settings, register="1/h")
    throttle = throttling.ViewThrottle()
    request: Any = APIRequestFactory().post("/", REMOTE_ADDR="192.0.2.1")
    view: Any = SimpleNamespace(throttle_scope="register")
    assert throttle.allow_request(request, view)
    assert not throttle.allow_request(request, view)
    assert (throttle.wait() or 0) > 3_590


@pytest.mark.django_db
def test_the_address_for_registrations_counts_them(settings: Any, api: APIClient) -> None:
    limit(settings, register="1/h")
    statuses = [api.post("/api/v1/auth/register", {}).status_code for _ in range(2)]
    assert statuses == [400, 429]
    assert api.post(LOGIN, {}).status_code == 400
