"""The judges of "Authentication": the stub, right answers of several kinds, wrong ones."""

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

import jwt
import psycopg
import pytest

import nexus
from nexus.exercises import auth
from nexus.judging import judge_answer
from nexus.judging.sandbox import Connection
from nexus.services import Postgres, current
from tests.exercises import tables

ONE, TWO, THREE = "auth.1", "auth.2", "auth.3"


@pytest.fixture(scope="module", autouse=True)
def server() -> Iterator[None]:
    with nexus.postgres(fsync="off"):  # databases come and go
        yield


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """What will never end need not be waited for as long as a learner's answer may take."""
    if "sleep" in request.node.name or "for_ever" in request.node.name:
        monkeypatch.setattr("nexus.judging.limits.SECONDS", 2.0)


# -- 1

EXISTS = """
SELECT booking.id
FROM booking
JOIN place ON place.id = booking.place_id
JOIN person ON person.id = %(user)s AND person.active
WHERE booking.id = %(booking)s AND (
    person.role = 'admin'
    OR person.id IN (booking.guest_id, place.host_id)
    OR EXISTS (
        SELECT FROM co_host
        WHERE co_host.place_id = place.id AND co_host.person_id = person.id
    )
)
"""
ACTIVE = "EXISTS (SELECT FROM person WHERE id = %(user)s AND active)"
UNION = f"""
SELECT id FROM booking WHERE id = %(booking)s AND guest_id = %(user)s AND {ACTIVE}
UNION
SELECT booking.id FROM booking JOIN place ON place.id = place_id
WHERE booking.id = %(booking)s AND host_id = %(user)s AND {ACTIVE}
UNION
SELECT booking.id FROM booking JOIN co_host USING (place_id)
WHERE booking.id = %(booking)s AND person_id = %(user)s AND {ACTIVE}
UNION
SELECT booking.id FROM booking, person
WHERE booking.id = %(booking)s AND person.id = %(user)s AND role = 'admin' AND active
"""
DISTINCT = """
SELECT DISTINCT b.id FROM booking b
JOIN place p ON p.id = b.place_id
LEFT JOIN co_host c ON c.place_id = p.id
JOIN person u ON u.id = %(user)s
WHERE b.id = %(booking)s AND u.active
  AND (u.role = 'admin' OR u.id = b.guest_id OR u.id = p.host_id OR u.id = c.person_id)
"""
# The letter of the text: all four kinds of people are named. AND binds before OR.
PRECEDENCE = """
SELECT DISTINCT b.id FROM booking b
JOIN place p ON p.id = b.place_id
LEFT JOIN co_host c ON c.place_id = p.id
JOIN person u ON u.id = %(user)s
WHERE b.id = %(booking)s AND u.active
  AND u.role = 'admin' OR u.id = b.guest_id OR u.id = p.host_id OR u.id = c.person_id
"""
BY_ROLE = EXISTS.replace("person.id IN (", "person.role = 'host' OR person.id IN (")
NO_GUEST = EXISTS.replace(
    "person.id IN (", "person.id = coalesce(guest_id, person.id) OR person.id IN ("
)
NO_LOG_IN = f"""{EXISTS} UNION
SELECT id FROM booking
WHERE id = %(booking)s AND guest_id IS NOT DISTINCT FROM %(user)s
  AND (%(user)s::int IS NULL OR {ACTIVE})
"""
HOSTS_ONLY = EXISTS.replace("OR EXISTS (", "OR person.role = 'host' AND EXISTS (")
FIXED = EXISTS.replace("person.role = 'admin'", "person.id = 35")


# -- 2


def right_claims(token: str, keys: Mapping[str, bytes], **changes: object) -> dict[str, Any]:
    options: dict[str, Any] = {
        "algorithms": ["RS256"],
        "audience": "stays",
        "issuer": "https://id.example",
        "leeway": 10,
        "options": {"require": ["exp", "sub"]},
    }
    kid = jwt.get_unverified_header(token).get("kid")
    if kid not in keys:
        raise jwt.InvalidTokenError(f"there is no key {kid!r}")
    options |= changes
    return jwt.decode(token, keys[kid], **{k: v for k, v in options.items() if v is not None})


def each_key(token: str, keys: Mapping[str, bytes]) -> dict[str, Any]:
    """It tries one key after the other: slower, and as good."""
    error: Exception = jwt.InvalidTokenError("no key")
    for key in keys.values():
        try:
            return jwt.decode(
                token,
                key,
                algorithms=["RS256"],
                audience=["stays"],
                issuer=["https://id.example"],
                leeway=10,
                options={"require": ["exp", "sub", "aud", "iss"]},
            )
        except jwt.InvalidSignatureError as refusal:
            error = refusal
    raise error


def by_hand(token: str, keys: Mapping[str, bytes]) -> dict[str, Any]:
    """The library for the signature, and the claims by hand."""
    kid = jwt.get_unverified_header(token).get("kid", "")
    if kid not in keys:
        raise jwt.InvalidTokenError("unknown key")
    options = {"verify_aud": False, "verify_iss": False}
    found = jwt.decode(token, keys[kid], algorithms=["RS256"], leeway=10, options=options)
    audience = found.get("aud", [])
    audience = [audience] if isinstance(audience, str) else audience
    if "stays" not in audience or found.get("iss") != "https://id.example":
        raise jwt.InvalidTokenError("not for us")
    if "exp" not in found or "sub" not in found:
        raise jwt.MissingRequiredClaimError("exp")
    return found


def changed(name: str, **changes: object) -> Callable[..., Any]:
    """The right function with one thing changed."""

    def claims(token: str, keys: Mapping[str, bytes]) -> dict[str, Any]:
        return right_claims(token, keys, **changes)

    claims.__name__ = name
    return claims


def reads_only(token: str, keys: Mapping[str, bytes]) -> dict[str, Any]:  # noqa: ARG001
    return jwt.decode(token, options={"verify_signature": False})


def algorithm_of_the_token(token: str, keys: Mapping[str, bytes]) -> dict[str, Any]:
    return right_claims(token, keys, algorithms=[jwt.get_unverified_header(token)["alg"]])


def key_error(token: str, keys: Mapping[str, bytes]) -> dict[str, Any]:
    return jwt.decode(
        token,
        keys[jwt.get_unverified_header(token)["kid"]],
        ["RS256"],
        audience="stays",
        issuer="https://id.example",
        leeway=10,
        options={"require": ["exp", "sub"]},
    )


def returns_none(token: str, keys: Mapping[str, bytes]) -> dict[str, Any] | None:
    try:
        return right_claims(token, keys)
    except jwt.InvalidTokenError:
        return None


def value_error(token: str, keys: Mapping[str, bytes]) -> dict[str, Any]:
    try:
        return right_claims(token, keys)
    except jwt.InvalidTokenError as error:
        raise ValueError("bad token") from error


def reads_in_the_end(token: str, keys: Mapping[str, bytes]) -> dict[str, Any]:
    try:
        return right_claims(token, keys)
    except jwt.ExpiredSignatureError:
        raise
    except Exception:
        return reads_only(token, keys)


def only_the_newest_key(token: str, keys: Mapping[str, bytes]) -> dict[str, Any]:
    return right_claims(token, {"2027": keys["2027"]})


def its_own_key(token: str, keys: Mapping[str, bytes]) -> dict[str, Any]:
    header = jwt.get_unverified_header(token)
    if "jwk" in header:
        return right_claims(token, {header["kid"]: jwt.PyJWK(header["jwk"]).key})  # type: ignore[dict-item]
    return right_claims(token, keys)


def the_first_key_if_unknown(token: str, keys: Mapping[str, bytes]) -> dict[str, Any]:
    kid = jwt.get_unverified_header(token).get("kid")
    if kid is None:
        return reads_only(token, keys)
    return right_claims(token, keys)


def one_audience(token: str, keys: Mapping[str, bytes]) -> dict[str, Any]:
    found = right_claims(token, keys, audience=None, options={"verify_aud": False})
    if found["aud"] != "stays":
        raise jwt.InvalidAudienceError("not for us")
    return found


# -- 3

SELECT = "SELECT session, used, revoked FROM token JOIN session ON id = session WHERE hash = %s"
USE = "UPDATE token SET used = true WHERE hash = %s"
STORE = "INSERT INTO token VALUES (%s, %s, false)"
REVOKE = "UPDATE session SET revoked = true WHERE id = %s"


def by_lock(connection: Connection, old: str, new: str) -> bool:
    with connection.transaction():
        row = connection.execute(f"{SELECT} FOR UPDATE", [old]).fetchone()
        if row is None or row[2]:
            return False
        if row[1]:
            connection.execute(REVOKE, [row[0]])
            return False
        connection.execute(USE, [old])
        connection.execute(STORE, [new, row[0]])
        return True


def by_update(connection: Connection, old: str, new: str) -> bool:
    with connection.transaction():
        row = connection.execute(
            "UPDATE token SET used = true FROM session WHERE hash = %s AND NOT used"
            " AND session.id = token.session AND NOT revoked RETURNING session.id",
            [old],
        ).fetchone()
        if row:
            connection.execute(STORE, [new, row[0]])
            return True
        connection.execute(
            "UPDATE session SET revoked = true"
            " WHERE id = (SELECT session FROM token WHERE hash = %s AND used)",
            [old],
        )
        return False


def by_advisory_lock(connection: Connection, old: str, new: str) -> bool:
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [old])
        return looked(connection, old, new)


def by_serializable(connection: Connection, old: str, new: str) -> bool:
    connection.isolation_level = psycopg.IsolationLevel.SERIALIZABLE
    with connection.transaction():
        return looked(connection, old, new)


def looked(connection: Connection, old: str, new: str) -> bool:
    """Right as long as nobody else is there."""
    row = connection.execute(SELECT, [old]).fetchone()
    if row is None or row[2]:
        return False
    if row[1]:
        connection.execute(REVOKE, [row[0]])
        return False
    connection.execute(USE, [old])
    connection.execute(STORE, [new, row[0]])
    return True


def looked_in_a_transaction(connection: Connection, old: str, new: str) -> bool:
    with connection.transaction():
        return looked(connection, old, new)


def the_stub(connection: Connection, old: str, new: str) -> bool:
    row = connection.execute("SELECT session, used FROM token WHERE hash = %s", [old]).fetchone()
    if row is None or row[1]:
        return False
    connection.execute("UPDATE token SET used = true WHERE hash = %s", [old])
    connection.execute("INSERT INTO token VALUES (%s, %s, false)", [new, row[0]])
    return True


def not_revoked_by_reuse(connection: Connection, old: str, new: str) -> bool:
    with connection.transaction():
        row = connection.execute(f"{SELECT} FOR UPDATE", [old]).fetchone()
        if row is None or row[1] or row[2]:
            return False
        connection.execute(USE, [old])
        connection.execute(STORE, [new, row[0]])
        return True


def revoked_and_rolled_back(connection: Connection, old: str, new: str) -> bool:
    """It raises for the reuse, so that the transaction takes the revocation back."""
    try:
        with connection.transaction():
            if not by_lock(connection, old, new):
                raise PermissionError
            return True
    except PermissionError:
        return False


def revokes_all(connection: Connection, old: str, new: str) -> bool:
    with connection.transaction():
        row = connection.execute(f"{SELECT} FOR UPDATE", [old]).fetchone()
        if row is None or row[2]:
            return False
        if row[1]:
            connection.execute("UPDATE session SET revoked = true")
            return False
        connection.execute(USE, [old])
        connection.execute(STORE, [new, row[0]])
        return True


def deletes_the_old(connection: Connection, old: str, new: str) -> bool:
    with connection.transaction():
        row = connection.execute(f"{SELECT} FOR UPDATE", [old]).fetchone()
        if row is None or row[2] or row[1]:
            return False
        connection.execute("DELETE FROM token WHERE hash = %s", [old])
        connection.execute(STORE, [new, row[0]])
        return True


def swallows(connection: Connection, old: str, new: str) -> bool:
    try:
        return by_lock(connection, old, new)
    except psycopg.Error:
        return False


def any_session(connection: Connection, old: str, new: str) -> bool:
    """Of a revoked session, a token is good."""
    with connection.transaction():
        row = connection.execute(f"{SELECT} FOR UPDATE", [old]).fetchone()
        if row is None:
            return False
        if row[1]:
            connection.execute(REVOKE, [row[0]])
            return False
        connection.execute(USE, [old])
        connection.execute(STORE, [new, row[0]])
        return True


def a_lock_of_this_process() -> Callable[[Connection, str, str], bool]:
    lock = threading.Lock()

    def rotate(connection: Connection, old: str, new: str) -> bool:
        with lock, connection.transaction():
            return looked(connection, old, new)

    return rotate


def in_memory() -> Callable[[Connection, str, str], bool]:
    used: set[str] = set()

    def rotate(connection: Connection, old: str, new: str) -> bool:
        if old in used:
            return False
        used.add(old)
        with connection.transaction():
            return looked(connection, old, new)

    return rotate


def update_last(connection: Connection, old: str, new: str) -> bool:
    """One UPDATE that asks, but the new token is stored before it."""
    with connection.transaction():
        row = connection.execute(SELECT, [old]).fetchone()
        if row is None or row[2]:
            return False
        if row[1]:
            connection.execute(REVOKE, [row[0]])
            return False
        connection.execute(STORE, [new, row[0]])
        connection.execute(f"{USE} AND NOT used", [old])
        return True


def left_open(connection: Connection, old: str, new: str) -> bool:
    connection.execute("BEGIN")
    return looked(connection, old, new)


def returns_the_row(connection: Connection, old: str, new: str) -> bool | None:
    return by_lock(connection, old, new) or None


def keeps_a_lock_for_ever(connection: Connection, old: str, new: str) -> bool:
    connection.execute("SELECT pg_advisory_lock(1)")  # and no unlock
    return by_lock(connection, old, new)


def sleeps(*_: object) -> None:
    time.sleep(60)


def sleeps_in_sql(connection: Connection, *_: object) -> None:
    connection.execute("SELECT pg_sleep(60)")


def for_ever(*_: object) -> None:
    while True:
        with contextlib.suppress(Exception):
            pass


def leaves(*_: object) -> None:
    sys.exit(3)


def drops(connection: Connection, *_: object) -> bool:
    connection.execute("DROP TABLE token CASCADE")
    return True


RIGHT: list[tuple[str, Any]] = [
    (ONE, EXISTS),
    (ONE, UNION),
    (ONE, DISTINCT),
    (TWO, right_claims),
    (TWO, each_key),
    (TWO, by_hand),
    (THREE, by_lock),
    (THREE, by_update),
    (THREE, by_advisory_lock),
    (THREE, by_serializable),
]

NOT_YET: list[tuple[str, Any, str]] = [
    (ONE, "SELECT id FROM booking WHERE id = %(booking)s", "which is of other people"),
    (ONE, "SELECT id FROM booking WHERE guest_id = %(user)s", "asked for booking"),
    (
        ONE,
        "SELECT id FROM booking WHERE id = %(booking)s AND guest_id = %(user)s",
        "does not see booking",
    ),
    (ONE, EXISTS.replace(" AND person.active", ""), "a deactivated"),
    (ONE, EXISTS.replace("person.role = 'admin'\n    OR", ""), "an administrator, does not see"),
    (ONE, DISTINCT.replace("DISTINCT ", ""), "it must come once"),
    (ONE, DISTINCT.replace("LEFT JOIN", "JOIN"), "does not see booking"),
    (ONE, PRECEDENCE, "asked for booking 11, and got"),
    (ONE, BY_ROLE, "which is of other people"),
    (ONE, NO_GUEST, "which is of other people"),
    (ONE, NO_LOG_IN, "not logged in"),
    (ONE, HOSTS_ONLY, "a co-host of its place, does not see"),
    (ONE, FIXED, "have changed, and then"),
    (ONE, EXISTS.replace("booking.id\n", "*\n"), "one column"),
    (ONE, "SELECT %(user)s::int, %(booking)s", "one column"),
    (ONE, "SELECT %(booking)s::int WHERE %(user)s::int IS NOT NULL", "of other people"),
    (ONE, "DELETE FROM booking", "it returns nothing"),
    (ONE, "SELECT id FROM bookings", "does not exist"),
    (ONE, "SELECT id FROM booking, pg_sleep(60)", "stopped after"),
    (ONE, 7, "this is of type int"),
    (TWO, reads_only, "a token that its owner has changed was accepted"),
    (TWO, algorithm_of_the_token, "alg none was shown, and the function raised"),
    (TWO, changed("both", algorithms=["RS256", "HS256"]), "HS256, and the public key"),
    (TWO, changed("anybody", audience=None, options={"verify_aud": False}), "without exp"),
    (
        TWO,
        changed(
            "no_audience", audience=None, options={"verify_aud": False, "require": ["exp", "sub"]}
        ),
        "for payroll was accepted",
    ),
    (TWO, changed("no_issuer", issuer=None), "of another issuer was accepted"),
    (TWO, changed("no_leeway", leeway=0), "expired three seconds ago"),
    (TWO, changed("much_leeway", leeway=3600), "expired a minute ago was accepted"),
    (TWO, changed("some_leeway", leeway=30), "fifteen seconds ago was accepted"),
    (TWO, changed("no_end", options={}), "without exp was accepted"),
    (TWO, changed("nobody", options={"require": ["exp"]}), "without sub was accepted"),
    (TWO, key_error, "whose kid nobody knows was shown, and the function raised KeyError"),
    (TWO, returns_none, "returned None"),
    (TWO, value_error, "raised ValueError"),
    (TWO, reads_in_the_end, "its owner has changed was accepted"),
    (TWO, only_the_newest_key, "of the other key must be accepted"),
    (TWO, its_own_key, "brings its own key"),
    (TWO, the_first_key_if_unknown, "without kid was accepted"),
    (TWO, one_audience, "for two services"),
    (TWO, lambda *_: {"sub": "amina"}, "was accepted"),
    (TWO, lambda *_: None, "returned None"),
    (TWO, lambda token: token, "TypeError"),
    (TWO, for_ever, "had not come to an end"),
    (TWO, sleeps, "had not come to an end"),
    (TWO, leaves, "SystemExit"),
    (TWO, "RS256", "should be a function"),
    (THREE, the_stub, "revoked session came, and it returned True"),
    (THREE, looked, "could not be stored, and token b1"),
    (THREE, looked_in_a_transaction, "got a new one. Lock the row"),
    (THREE, not_revoked_by_reuse, "session 1 is not revoked"),
    (THREE, revoked_and_rolled_back, "session 1 is not revoked"),
    (THREE, revokes_all, "session 2 is revoked"),
    (THREE, deletes_the_old, "token a1 is not there"),
    (THREE, swallows, "let the error go to the caller"),
    (THREE, any_session, "revoked session came, and it returned True"),
    (THREE, a_lock_of_this_process(), "got a new one. Lock the row"),
    (THREE, in_memory(), "session 1 is not revoked"),
    (THREE, update_last, "got a new one. Lock the row"),
    (THREE, left_open, "still open"),
    (THREE, returns_the_row, "True or False"),
    (THREE, lambda *_: True, "token a1 has"),
    (THREE, lambda *_: False, "It returned False"),
    (THREE, drops, "does not exist"),
    (THREE, keeps_a_lock_for_ever, "had not come to an end"),
    (THREE, sleeps, "had not come to an end"),
    (THREE, sleeps_in_sql, "had not come to an end"),
    (THREE, for_ever, "had not come to an end"),
    (THREE, leaves, "SystemExit"),
    (THREE, 3, "should be a function"),
]


@pytest.mark.parametrize("exercise", [ONE, TWO, THREE])
@pytest.mark.parametrize("stub", [None, ..., "", " \n"])
def test_a_stub_gets_a_hint(exercise: str, stub: object) -> None:
    verdict = judge_answer(exercise, stub)
    assert not verdict.right
    assert len(verdict.message) > 20


test_right, test_not_yet = tables.tests(RIGHT, NOT_YET)


def test_nothing_is_left_in_the_server() -> None:
    judge_answer(THREE, by_lock)
    with cast(Postgres, current("postgres")).connect() as connection:
        row = connection.execute("SELECT count(*) FROM pg_database WHERE datname ~ 'auth_.*_[0-9]'")
        assert row.fetchone() == (0,)


def test_each_bad_token_would_be_accepted_by_a_reader_but_for_one_thing() -> None:
    keys = {name: auth._pem(name) for name in ("2026", "2027")}
    for make in auth.GOOD.values():
        assert right_claims(make(), keys)["sub"] == "amina"
    for what, make in auth.BAD.items():
        if "no token" not in what:
            assert "aud" in reads_only(make(), keys) or "without aud" in what


def test_a_busy_machine_gets_a_new_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth, "SOON", 0.0)
    made: list[str] = []

    def make() -> str:
        made.append(auth._token())
        return made[-1]

    def late(token: str, keys: Mapping[str, bytes]) -> dict[str, Any]:
        if len(made) < 3:
            raise jwt.ExpiredSignatureError
        return right_claims(token, keys)

    assert auth._shown(late, make, {"2027": auth._pem("2027")})["sub"] == "amina"  # type: ignore[index]
    assert len(made) == 3
