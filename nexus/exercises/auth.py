"""Judges of "Authentication": whose row it is, what a token must say, and a token of one use."""

import base64
import hmac
import json
import time
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import jwt
import psycopg
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from nexus.judging import NotYet, judge
from nexus.judging.limits import Run, all_of, within
from nexus.judging.meeting import come_to_rest, holding
from nexus.judging.sandbox import Connection, Sandbox, another, database
from nexus.judging.workers import OtherProcessError, Worker, worker

# -- 1: whose booking is it?

PEOPLE = {
    31: ("guest", True),
    32: ("guest", True),
    33: ("host", True),
    34: ("host", True),
    35: ("admin", True),
    36: ("guest", False),
    37: ("host", False),
    38: ("admin", False),
    39: ("guest", True),  # a co-host need not be a host
    40: ("host", False),
    41: ("host", True),
}
PLACES = {21: 33, 22: 34, 23: 37, 24: 41}
CO_HOSTS = {(21, 39), (21, 40), (21, 41), (21, 33), (22, 41), (23, 39)}
BOOKINGS = {11: (21, 31), 12: (21, 36), 13: (22, 32), 14: (22, None), 15: (23, 31), 16: (24, 33)}
"""Of each its place and its guest; 16 is a host's, as a guest of another host."""


def build(connection: Connection) -> None:
    """Makes the tables, with people of every kind."""
    connection.execute("""
        CREATE TABLE person (id int PRIMARY KEY, role text NOT NULL, active boolean NOT NULL);
        CREATE TABLE place (id int PRIMARY KEY, host_id int NOT NULL REFERENCES person);
        CREATE TABLE co_host (
            place_id int REFERENCES place, person_id int REFERENCES person,
            PRIMARY KEY (place_id, person_id)
        );
        CREATE TABLE booking (
            id int PRIMARY KEY,
            place_id int NOT NULL REFERENCES place,
            guest_id int REFERENCES person
        );
    """)
    with connection.cursor() as cursor:
        people = [(key, *rest) for key, rest in PEOPLE.items()]
        cursor.executemany("INSERT INTO person VALUES (%s, %s, %s)", people)
        cursor.executemany("INSERT INTO place VALUES (%s, %s)", list(PLACES.items()))
        cursor.executemany("INSERT INTO co_host VALUES (%s, %s)", sorted(CO_HOSTS))
        bookings = [(key, *rest) for key, rest in BOOKINGS.items()]
        cursor.executemany("INSERT INTO booking VALUES (%s, %s, %s)", bookings)


State = tuple[dict[int, tuple[str, bool]], dict[int, int], set[tuple[int, int]]]


def may_see(state: State, user: int | None, booking: int) -> str:
    """Why a user may see a booking; an empty text if not."""
    people, places, co_hosts = state
    role, active = people.get(user or 0, ("", False))
    place, guest = BOOKINGS[booking]
    reasons = {
        "an administrator": role == "admin",
        "its guest": guest == user,
        "the host of its place": places[place] == user,
        "a co-host of its place": (place, user) in co_hosts,
    }
    return next((reason for reason, holds in reasons.items() if holds and active), "")


@judge(
    "auth.1",
    takes=str,
    called="one SELECT in quotes",
    hint="write one SELECT, in quotes, that returns the id of the booking %(booking)s if the user "
    "%(user)s may see it",
)
def whose_booking(statement: str) -> str:
    """Every person asks for every booking, and again when roles have changed."""
    state: State = (dict(PEOPLE), dict(PLACES), set(CO_HOSTS))
    with database("auth_bookings", build) as box:
        _ask_for_all(box, statement, state)
        box.admin.execute("""
            UPDATE person SET active = NOT active WHERE id IN (33, 37, 38);
            UPDATE person SET role = 'guest' WHERE id = 35;
            UPDATE place SET host_id = 41 WHERE id = 22;
            DELETE FROM co_host WHERE person_id IN (39, 41);
        """)
        for key in (33, 37, 38):
            state[0][key] = (state[0][key][0], not state[0][key][1])
        state[0][35] = ("guest", True)
        state[1][22] = 41
        state[2].intersection_update({(21, 40), (21, 33)})
        try:
            _ask_for_all(box, statement, state)
        except NotYet as error:
            raise NotYet(f"roles, hosts and co-hosts have changed, and then: {error}") from None
    return (
        "each of eleven people saw the bookings that are theirs, once, and no others, also after "
        "roles, hosts and co-hosts had changed; nobody saw any without a log-in"
    )


def _ask_for_all(box: Sandbox, statement: str, state: State) -> None:
    """Lets each person ask for each booking."""
    users = [*state[0], 999, None]
    for user in users:
        for booking in BOOKINGS:
            found = _found(box, statement, user, booking)
            reason = may_see(state, user, booking)
            if found == [booking] * bool(reason):
                continue
            who = _named(state, user)
            if reason and found == []:
                raise NotYet(f"{who}, {reason}, does not see booking {booking}")
            if reason and set(found) == {booking}:
                raise NotYet(
                    f"{who}, {reason}, gets booking {booking} {len(found)} times: it must come once"
                )
            if set(found) <= {booking}:
                raise NotYet(f"{who} sees booking {booking}, which is of other people")
            raise NotYet(f"{who} asked for booking {booking}, and got {found[:5]}")
        if _found(box, statement, user, 77):
            raise NotYet("asked for a booking that does not exist, it returns a row")


def _found(box: Sandbox, statement: str, user: int | None, booking: int) -> list[object]:
    """The ids that an answer returns."""
    with box.watched():
        cursor = box.learner.execute(statement, {"user": user, "booking": booking})  # type: ignore[arg-type]
    if cursor.description is None:
        raise NotYet("it returns nothing: write a SELECT, which gives the id of the booking")
    if len(cursor.description) != 1:
        raise NotYet("it must return one column, the id of the booking")
    return [row[0] for row in cursor.fetchmany(20)]


def _named(state: State, user: int | None) -> str:
    """A user in words."""
    if user is None:
        return "somebody who is not logged in (the user is NULL)"
    if user not in state[0]:
        return f"user {user}, who does not exist"
    role, active = state[0][user]
    return f"{'an active' if active else 'a deactivated'} {role} (user {user})"


# -- 2: the doorman

ISSUER, AUDIENCE = "https://id.example", "stays"
Claims = Callable[[str, Mapping[str, bytes]], object]


@cache
def _key(name: str) -> rsa.RSAPrivateKey:  # noqa: ARG001 (the cache looks at it)
    """A private key, made once."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def _pem(name: str) -> bytes:
    """The public half of a key."""
    return (
        _key(name)
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )


def _text(data: bytes) -> str:
    """Bytes as a part of a token."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _token(kid: str | None = "2027", key: str | None = None, **changes: object) -> str:
    """A token that is good but for the changes; None takes a claim away.

    Times are given in seconds from now.
    """
    now = int(time.time())
    claims: dict[str, Any] = {"iss": ISSUER, "aud": AUDIENCE, "sub": "amina", "exp": 300}
    claims = {name: value for name, value in (claims | changes).items() if value is not None}
    for name in {"exp", "nbf", "iat"} & claims.keys():
        claims[name] += now
    return jwt.encode(
        claims, _key(key or str(kid)), algorithm="RS256", headers={"kid": kid} if kid else None
    )


def _by_hand(header: dict[str, object], sign: Callable[[bytes], bytes]) -> str:
    """A token that no library would make."""
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "esi", "exp": int(time.time()) + 300}
    signed = ".".join(_text(json.dumps(part).encode()) for part in (header, claims))
    return f"{signed}.{_text(sign(signed.encode()))}"


def _changed() -> str:
    """A token whose owner has become somebody else."""
    head, _, signature = _token().split(".")
    body = {"iss": ISSUER, "aud": AUDIENCE, "sub": "esi", "exp": int(time.time()) + 300}
    return ".".join([head, _text(json.dumps(body).encode()), signature])


def _with_its_own_key() -> str:
    """A stranger's token that brings the stranger's public key."""
    own = jwt.algorithms.RSAAlgorithm.to_jwk(_key("stranger").public_key(), as_dict=True)
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "esi", "exp": int(time.time()) + 300}
    return jwt.encode(claims, _key("stranger"), "RS256", {"kid": "2027", "jwk": own})


GOOD: dict[str, Callable[[], str]] = {
    "a good token": _token,
    "a good token of the other key": lambda: _token("2026"),
    "a good token for two services, stays and another": lambda: _token(aud=["payroll", AUDIENCE]),
    "a token that expired three seconds ago (ten are allowed)": lambda: _token(exp=-3),
    "a token that was issued three seconds ahead (ten are allowed)": lambda: _token(iat=3, nbf=3),
}
BAD: dict[str, Callable[[], str]] = {
    "a token that its owner has changed": _changed,
    "a token with alg none": lambda: _by_hand({"alg": "none", "kid": "2027"}, lambda _: b""),
    "a token signed with HS256, and the public key as the secret": lambda: _by_hand(
        {"alg": "HS256", "kid": "2027"}, lambda text: hmac.digest(_pem("2027"), text, "sha256")
    ),
    "a token signed with a stranger's key": lambda: _token("2027", "stranger"),
    "a token that brings its own key in its header": _with_its_own_key,
    "a token whose kid nobody knows": lambda: _token("1999", "stranger"),
    "a stranger's token without kid": lambda: _token(None, "stranger"),
    "a token that expired a minute ago": lambda: _token(exp=-60),
    "a token that expired fifteen seconds ago": lambda: _token(exp=-15),
    "a token that is not valid yet, for a minute": lambda: _token(nbf=60),
    "a token without exp": lambda: _token(exp=None),
    "a token without sub": lambda: _token(sub=None),
    "a token for payroll": lambda: _token(aud="payroll"),
    "a token without aud": lambda: _token(aud=None),
    "a token of another issuer": lambda: _token(iss="https://id.evil.example"),
    "a token without iss": lambda: _token(iss=None),
    "a text that is no token": lambda: "Bearer",
}
SOON = 3.0
"""Seconds within which a token's times must be looked at: the machine may be busy."""

GIVEN_2 = """
import jwt


def claims(token, keys):
    return jwt.decode(token, options={"verify_signature": False})
"""


@judge(
    "auth.2",
    takes=Callable,  # type: ignore[arg-type]
    called="a function",
    hint="give a function of a token and the keys: it returns the claims of a good token, and "
    "raises jwt.InvalidTokenError for any other",
    stub=GIVEN_2,
)
def doorman(claims: Claims) -> str:
    """Good tokens are let in; of all the others each is refused."""
    keys = {name: _pem(name) for name in ("2026", "2027")}
    for what, make in GOOD.items():
        try:
            got = _shown(claims, make, keys)
        except jwt.InvalidTokenError as error:
            raise NotYet(f"{what} must be accepted. It was refused: {error}") from None
        if not isinstance(got, Mapping) or got.get("sub") != "amina":
            raise NotYet(f"{what} was shown. It must return the claims, and it returned {got!r}")
    for what, make in BAD.items():
        try:
            got = _shown(claims, make, keys)
        except jwt.InvalidTokenError:
            continue
        except NotYet:
            raise
        except Exception as error:
            raise NotYet(
                f"{what} was shown, and the function raised {type(error).__name__}, which is no "
                "jwt.InvalidTokenError: the caller would not take it for a refusal"
            ) from None
        if not got:
            raise NotYet(
                f"{what} was shown, and the function returned {got!r}: raise, so that no caller "
                "can forget to look"
            )
        raise NotYet(f"{what} was accepted")
    return (
        f"{len(GOOD)} good tokens were accepted, of two keys and with clocks that differ; "
        f"{len(BAD)} others were refused"
    )


def _shown(claims: Claims, make: Callable[[], str], keys: dict[str, bytes]) -> object:
    """What the answer says to a token that was made just now."""
    for _ in range(20):
        began = time.monotonic()
        token = make()
        try:
            return within(lambda token=token: claims(token, dict(keys)))  # type: ignore[misc]
        except jwt.InvalidTokenError:
            if time.monotonic() - began < SOON:
                raise
    raise NotYet("the machine is too busy to look at a token within three seconds: try again")


# -- 3: one use, one thief

Rotate = Callable[[Connection, str, str], object]


def tokens(connection: Connection) -> None:
    """Makes three log-ins, the third one revoked, with a token each; the first has had another."""
    connection.execute("""
        CREATE TABLE session (id int PRIMARY KEY, revoked boolean NOT NULL DEFAULT false);
        CREATE TABLE token (
            hash text PRIMARY KEY,
            session int NOT NULL REFERENCES session,
            used boolean NOT NULL
        );
        INSERT INTO session VALUES (1, false), (2, false), (3, true), (4, false), (5, false);
        INSERT INTO token VALUES ('a0', 1, true), ('a1', 1, false), ('b1', 2, false),
            ('c0', 3, true), ('c1', 3, false), ('d1', 4, false), ('e1', 5, false);
    """)


GIVEN_3 = """
def rotate(connection, old, new):
    row = connection.execute("SELECT session, used FROM token WHERE hash = %s", [old]).fetchone()
    if row is None or row[1]:
        return False
    connection.execute("UPDATE token SET used = true WHERE hash = %s", [old])
    connection.execute("INSERT INTO token VALUES (%s, %s, false)", [new, row[0]])
    return True
"""


@judge(
    "auth.3",
    takes=Callable,  # type: ignore[arg-type]
    called="a function",
    hint="give a function of a connection, the old and the new hash: it returns True if the old "
    "token was good for one more use, which this was",
    stub=GIVEN_3,
)
def one_use(rotate: Rotate) -> str:
    """A token is good once, also in a race; a used one that comes back ends its session."""
    with (
        database("auth_tokens", tokens) as box,
        another(box) as first,
        worker(lambda *call: _elsewhere(rotate, box, *call)) as other,
    ):
        _in_turn(rotate, box, first)
        _no_use(rotate, box, first)
        _cannot_be_stored(rotate, box, first)
        _stolen(rotate, box, first)
        _race(rotate, box, other)
    return (
        "a token was good once, in turn and for one of two processes at the same moment; a used "
        "one ended its session, and a failure left everything as it was"
    )


def _call(rotate: Rotate, connection: Connection, old: str, new: str) -> object:
    """What a call returns; its transaction must be over."""
    result = within(lambda: rotate(connection, old, new))
    if connection.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
        raise NotYet("when it returns, its transaction is still open: commit it")
    if not isinstance(result, bool):
        raise NotYet(f"it must return True or False, and it returned {result!r}")
    return result


def _elsewhere(rotate: Rotate, box: Sandbox, old: str, new: str) -> object:
    """What a call returns in another process, on a connection of that process."""
    with another(box) as connection:
        return rotate(connection, old, new)


def _state(box: Sandbox) -> dict[str, object]:
    """All rows: the tokens with session and use, the sessions with what became of them."""
    rows = box.admin.execute("SELECT hash, (session, used)::text FROM token")
    sessions = box.admin.execute("SELECT 'session ' || id, revoked FROM session")
    return dict(rows.fetchall()) | dict(sessions.fetchall())


def _in_turn(rotate: Rotate, box: Sandbox, connection: Connection) -> None:
    """Two rotations, one after the other."""
    expected = _state(box)
    for old, new in (("a1", "a2"), ("a2", "a3")):
        result = _call(rotate, connection, old, new)
        expected |= {old: "(1,t)", new: "(1,f)"}
        state = _state(box)
        if result is not True:
            raise NotYet(f"{old} is known, not used, and its session is good. It returned {result}")
        if state != expected:
            raise NotYet(f"{old} was exchanged for {new}, and {_difference(expected, state)}")


def _no_use(rotate: Rotate, box: Sandbox, connection: Connection) -> None:
    """An unknown token, and those of a session that is revoked, change nothing."""
    before = _state(box)
    for old, what in (
        ("x1", "an unknown token"),
        ("c1", "a token of a revoked session"),
        ("c0", "a used token of a revoked session"),
    ):
        if _call(rotate, connection, old, f"{old}-new"):
            raise NotYet(f"{what} came, and it returned True")
        if (state := _state(box)) != before:
            raise NotYet(f"{what} came, and {_difference(before, state)}")


def _cannot_be_stored(rotate: Rotate, box: Sandbox, connection: Connection) -> None:
    """The new hash is there already: the caller hears of it, and the old one is as it was."""
    before = _state(box)
    try:
        result = _call(rotate, connection, "b1", "a3")
    except psycopg.Error:
        pass
    else:
        raise NotYet(
            f"the new token could not be stored, and it returned {result}: let the error go to the "
            "caller"
        )
    if connection.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
        raise NotYet("the new token could not be stored, and its transaction is still open")
    if (state := _state(box)) != before:
        raise NotYet(f"the new token could not be stored, and {_difference(before, state)}")


def _stolen(rotate: Rotate, box: Sandbox, connection: Connection) -> None:
    """A used token ends its session, and the newest token with it; others live on."""
    expected = _state(box) | {"session 1": True}
    if _call(rotate, connection, "a1", "a9"):
        raise NotYet("a token came that was used before, and it returned True")
    if (state := _state(box)) != expected:
        raise NotYet(f"a token came that was used before, and {_difference(expected, state)}")
    if _call(rotate, connection, "a3", "a9"):
        raise NotYet("a used token came again, and the newest token of its session is still good")
    if _call(rotate, connection, "b1", "b2") is not True:
        raise NotYet(
            "a used token came again, and another session ended too: revoke only its own session"
        )


def _difference(expected: Mapping[str, object], state: Mapping[str, object]) -> str:
    """The first row that is not as it should be, in words."""
    for key in sorted(expected.keys() | state.keys()):
        right, got = expected.get(key), state.get(key)
        if right == got:
            continue
        if key.startswith("session"):
            return f"{key} is {'revoked' if got else 'not revoked'}"
        if got is None:
            return f"token {key} is not there"
        if right is None:
            return f"token {key} was stored"
        return f"token {key} has (session, used) {got}, and should have {right}"
    return "nothing differs"


def _race(rotate: Rotate, box: Sandbox, other: Worker) -> None:
    """Two calls with one token, in two processes, which meet before either has written."""
    for old, lock in (("d1", "SHARE"), ("e1", "ACCESS EXCLUSIVE")):
        with another(box) as connection:
            with holding(box, f"LOCK TABLE token, session IN {lock} MODE") as holder:
                run = Run(lambda: rotate(connection, old, f"{old}-first"))  # noqa: B023
                other.ask(old, f"{old}-second")
                going = [lambda: run.is_running, lambda: not other.is_done()]  # noqa: B023
                come_to_rest(box, going)
                holder.commit()
            all_of([run], "one of two calls with one token")
        outcomes = [run.value() if run.error is None else False]
        try:
            outcomes.append(other.answer("of two calls with one token, the other process's"))
        except OtherProcessError:
            outcomes.append(False)
        good = sum(outcome is True for outcome in outcomes)
        new = _state(box).keys() & {f"{old}-first", f"{old}-second"}
        if good > 1 or len(new) > 1:
            raise NotYet(
                f"two calls came with one token at once, in two processes, and "
                f"{max(good, len(new))} got a new one. Lock the row before you read it, or let one "
                "UPDATE check and write"
            )
        if good != 1 or len(new) != 1:
            raise NotYet(
                "two calls came with one token at once, and none got a new one: one of them must"
            )
