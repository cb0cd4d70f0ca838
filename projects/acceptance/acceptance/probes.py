"""Probes that several suites need. Each one returns what it saw, or raises Failed.

Every probe says what was sent, what came and what was wanted in words of its own, so that a check
is often one call.
"""

import base64
import hashlib
import hmac
import json
import statistics
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from acceptance.api import Api, User
from acceptance.check import Failed, Skipped
from acceptance.client import Answer

Send = Callable[[], Answer]

# -- Races


def race(api: Api, calls: Sequence[Send]) -> list[Answer]:
    """Send requests at the same moment, each from a thread of its own, and return the answers.

    A barrier holds all threads until the last one is ready.

    Args:
        api: Whose limits hold.
        calls: One function for each request; no more than Limits.parallel.
    """
    if len(calls) > api.client.limits.parallel:
        raise ValueError(f"No more than {api.client.limits.parallel} at once")
    barrier = threading.Barrier(len(calls))

    def one(call: Send) -> Answer:
        barrier.wait(timeout=30)
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(one, calls))


def statuses(answers: Iterable[Answer]) -> str:
    """Return counts of the answers' statuses, for a report: "3 × 201, 7 × 409"."""
    counts = sorted(Counter(answer.status for answer in answers).items())
    return ", ".join(f"{count} × {status}" for status, count in counts)


def at_most(answers: Sequence[Answer], count: int, wanted: str) -> int:
    """Fail if more of racing requests succeeded than may, or if the server broke.

    Args:
        answers: Of `race`.
        count: How many may succeed. The others must be refused with 400 to 499.
        wanted: What the check wants, as a full sentence.

    Returns:
        How many succeeded.
    """
    won = sum(answer.ok for answer in answers)
    if won > count or any(not answer.ok and not answer.refused for answer in answers):
        raise Failed(
            sent=f"{len(answers)} × at once: {answers[0].sent}",
            came=statuses(answers),
            wanted=f"{wanted}: at most {count} succeed, and each other one is refused (400 to 499)",
        )
    return won


def exactly(answers: Sequence[Answer], count: int, wanted: str) -> None:
    """Fail unless so many of racing requests succeeded, and all others were refused."""
    if at_most(answers, count, wanted) != count:
        raise Failed(
            sent=f"{len(answers)} × at once: {answers[0].sent}",
            came=f"{statuses(answers)}. An example: {answers[0].came}",
            wanted=f"{wanted}: {count} succeed",
        )


# -- Lists


def stable_walk(
    api: Api,
    user: User,
    name: str,
    *,
    key: Callable[[Any], Any],
    write: Callable[[], object],
    size: int = 5,
    expected: Collection[Any] = (),
    **how: Any,
) -> list[Any]:
    """Walk a list page by page while rows are added, and fail if a row comes twice or is left out.

    Args:
        api: Where.
        user: Who walks.
        name: Of the list, in the mapping's section paths.
        key: Returns what identifies a row.
        write: Adds a row; it is called after each of the first five pages.
        size: Rows on a page, if the API lets the client say.
        expected: Keys of rows that were there before, and must be seen.
        how: As for Api.pages.

    Returns:
        The keys, as they came.

    Raises:
        Skipped: If there is but one page, so that nothing can be seen.
    """
    seen: list[Any] = []
    sent = ""
    pages = 0
    for page in api.pages(user, name, size=size, **how):
        pages += 1
        sent = sent or page.sent
        seen += [key(row) for row in api.items(page)]
        if pages <= 5:
            write()
    if pages < 2:
        raise Skipped("The list has one page only: lists.next and lists.size of the mapping?")
    twice = [row for row, count in Counter(seen).items() if count > 1]
    missing = [row for row in expected if row not in seen]
    if twice or missing:
        raise Failed(
            sent=f"{sent}, then the further pages; a row was added after each page",
            came=f"{len(seen)} rows on {pages} pages; twice: {twice[:5]}; missing: {missing[:5]}",
            wanted="Each row that was there before the walk comes once, whatever is written "
            "meanwhile (a cursor does that, an offset does not)",
        )
    return seen


def sorted_by(answer: Answer, values: Sequence[Any], *, falling: bool = False) -> None:
    """Fail unless values are in order.

    Args:
        answer: That they came in.
        values: Of the rows, in the order in which they came. Fewer than two prove nothing.
        falling: Whether the largest should be first.
    """
    if len(set(values)) < 2:
        raise Skipped("Fewer than two different values came, so that no order can be seen")
    if list(values) != sorted(values, reverse=falling):
        order = "falling" if falling else "rising"
        answer.fail(f"The rows in {order} order; their values are {list(values)[:12]}")


def filtered(
    answer: Answer,
    rows: Sequence[Any],
    right: Callable[[Any], bool],
    wanted: str,
    *,
    key: Callable[[Any], Any],
    expected: Collection[Any],
) -> None:
    """Fail unless a filter's rows are all right and none of the expected ones is missing.

    Args:
        answer: That the rows came in, or the first page of several.
        rows: All that came.
        right: Whether a row may be there.
        wanted: What the filter should do, as a full sentence.
        key: Returns what identifies a row.
        expected: Keys of rows that must be there.
    """
    wrong = [key(row) for row in rows if not right(row)]
    found = {key(row) for row in rows}
    missing = [row for row in expected if row not in found]
    if wrong or missing:
        raise Failed(
            sent=answer.sent,
            came=f"{len(rows)} rows; they should not be there: {wrong[:5] or 'none'}; "
            f"missing: {missing[:5] or 'none'}",
            wanted=wanted,
        )


# -- Time


def growth(
    small: Send,
    large: Send,
    *,
    rows: tuple[int, int],
    limit: float = 0.027,
    rounds: int = 9,
    wanted: str = "A list's time grows little with its rows",
) -> float:
    """Fail if each further row costs too large a share of a small answer's time: N+1 queries.

    The two requests alternate. Each pair gives one ratio, and the median of the ratios counts, so
    that a machine which is slow for a while makes no difference. If the verdict is a failure, it
    must come out again in a second measurement.

    Args:
        small: Gets few rows.
        large: Gets many rows, of the same kind.
        rows: How many rows they get.
        limit: The largest share. In 40 measurements of the five projects on a busy machine, a
            row cost at most 0.018 of a small answer's time, and a row with a query of its own at
            least 0.037. The limit is between them.
        rounds: How many pairs; the first one more is not counted.
        wanted: What the check wants, as a full sentence.

    Returns:
        The share that one row costs.
    """
    few, many = rows
    if many - few < 10:
        raise Skipped(f"{few} and {many} rows are too near to each other for a comparison")
    for answer in (small(), large()):
        answer.expect(wanted="The list answers")
    share, times = 0.0, (0.0, 0.0)
    for _ in range(2):
        pairs = [(small(), large()) for _ in range(rounds)]
        share = statistics.median(b.seconds / a.seconds - 1 for a, b in pairs) / (many - few)
        times = (
            statistics.median(a.seconds for a, _ in pairs),
            statistics.median(b.seconds for _, b in pairs),
        )
        if share <= limit:
            return share
    raise Failed(
        sent=f"{rounds} pairs, twice: {small().sent}\nand {large().sent}",
        came=f"median {times[0] * 1000:.1f} ms for {few}, {times[1] * 1000:.1f} for {many} rows: "
        f"each further row costs {share:.1%} of the small answer's time",
        wanted=f"{wanted}: at most {limit:.1%} a row. Is a query sent for each row (N+1)?",
    )


# -- Tokens

WEAK = (
    *("secret", "secretkey", "secret-key", "secret_key", "changeme", "change-me", "change_me"),
    *("password", "key", "test", "dev", "jwt", "jwt-secret", "jwtsecret", "my-secret", "mysecret"),
    *("your-256-bit-secret", "your-secret-key", "your_secret_key", "supersecret", "super-secret"),
    *("django-insecure", "insecure", "django-insecure-change-me", "dev-secret", "development", ""),
)
"""Keys that a guesser tries first."""
DAY = 86_400


def part(text: str) -> bytes:
    """Return the bytes of a token's part."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def coded(data: bytes) -> str:
    """Return bytes as a token's part."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def claims(token: str) -> dict[str, Any] | None:
    """Return a JWT's claims, or None for a token of another kind."""
    try:
        head, body, _ = token.split(".")
        json.loads(part(head))
        data = json.loads(part(body))
    except ValueError:
        return None
    return data if isinstance(data, dict) else None


def with_token(user: User, access: str) -> User:
    """Return the user with another token."""
    return User(user.api, user.role, user.username, user.password, access, user.refresh)


def token_needed(user: User, name: str, **how: Any) -> None:
    """Fail unless a request succeeds with the user's token, and is refused with 401 without one.

    Args:
        user: With a good token.
        name: A request that needs one, and changes nothing.
        how: As for User.send.
    """
    user.send(name, **how).expect(wanted="The token that log-in gave is accepted")
    for access, what in (("", "without a token"), ("not-a-token", "with nonsense as a token")):
        wanted = f"A request {what} is refused"
        with_token(user, access).send(name, **how).expect(401, wanted=wanted)


def forged_token(user: User, name: str, **how: Any) -> None:
    """Fail if a token with a changed claim, without a signature or with a guessed key is accepted.

    Args:
        user: With a good token.
        name: A request that needs one, and changes nothing.
        how: As for User.send.

    Raises:
        Skipped: If the tokens are no JWTs; their last character is changed before that.
    """
    user.send(name, **how).expect(wanted="The token that log-in gave is accepted")
    data = claims(user.access)
    if data is None:
        changed = user.access[:-1] + ("A" if user.access[-1] != "A" else "B")
        wanted = "A token whose last character is changed is refused"
        with_token(user, changed).send(name, **how).expect(401, wanted=wanted)
        return
    head, body, signature = user.access.split(".")
    later = {**data, "exp": int(time.time()) + 7 * DAY, "is_staff": True, "is_superuser": True}
    fresh = coded(json.dumps(later).encode())
    none = coded(json.dumps({"alg": "none", "typ": "JWT"}).encode())
    forged = {
        "whose claims are changed, with the old signature": f"{head}.{fresh}.{signature}",
        "with the algorithm none and no signature": f"{none}.{fresh}.",
        "without its signature": f"{head}.{body}.",
    }
    for what, token in forged.items():
        wanted = f"A token {what} is refused"
        with_token(user, token).send(name, **how).expect(401, wanted=wanted)
    if (json.loads(part(head)).get("alg")) == "HS256":
        for key in WEAK:
            made = hmac.new(key.encode(), f"{head}.{body}".encode(), hashlib.sha256).digest()
            if hmac.compare_digest(coded(made), signature):
                raise Failed(
                    sent=f"nothing: the signature of the token was compared with {len(WEAK)} keys",
                    came=f"the token is signed with the key {key!r}",
                    wanted="Tokens are signed with a long random key that only the server knows",
                )


def token_expires(user: User, longest: int = DAY) -> None:
    """Fail unless the access token says that it ends, and soon enough.

    Args:
        user: With a good token.
        longest: The most seconds that it may live.
    """
    data = claims(user.access)
    if data is None:
        raise Skipped("The token is no JWT, so that its life cannot be read")
    left = data["exp"] - time.time() if isinstance(data.get("exp"), int | float) else None
    if left is None or left > longest + 60:
        came = "no exp among its claims" if left is None else f"it lives for {left:.0f} s more"
        wanted = f"An access token lives for no more than {longest} s: one that is stolen ends soon"
        raise Failed(sent="log-in; the token's claims were read", came=came, wanted=wanted)


def refresh(user: User, name: str, **how: Any) -> User:
    """Fail unless the refresh token gives a new access token, and is none itself.

    Args:
        user: A user whom the check does not need afterwards (Api.new_user).
        name: A request that needs a token, and changes nothing.
        how: As for User.send.

    Returns:
        The user with the new tokens; the refresh token is the old one if no new one came.
    """
    api = user.api
    if not user.refresh:
        raise Skipped("auth.login.refresh is empty in the mapping: the API has no refresh token")
    wanted = "A refresh token is not accepted as an access token"
    with_token(user, user.refresh).send(name, **how).expect(401, wanted=wanted)
    answer = api.step("refresh", with_token(user, ""))
    answer.expect(wanted="A refresh token gives a new access token")
    new = with_token(user, api.token_in("refresh", "access", answer))
    if api.names.data["auth"]["refresh"]["refresh"]:
        new.refresh = api.token_in("refresh", "refresh", answer)
    new.send(name, **how).expect(wanted="The new access token is accepted")
    return new


def refresh_once(user: User, name: str, **how: Any) -> None:
    """Fail unless a refresh token that was used is refused afterwards (rotation).

    Args:
        user: As for refresh.
        name: As for refresh.
        how: As for refresh.

    Raises:
        Skipped: If refresh gives no new refresh token.
    """
    if not user.api.names.data["auth"]["refresh"]["refresh"]:
        raise Skipped("auth.refresh.refresh is empty in the mapping: no new refresh token is given")
    refresh(user, name, **how)
    user.api.step("refresh", with_token(user, "")).want_refused("A used refresh token is refused")


def logout(user: User) -> None:
    """Fail unless the refresh token is refused after log-out.

    Args:
        user: A user whom the check does not need afterwards (Api.new_user).
    """
    user.api.step("logout", user).expect(wanted="Log-out succeeds")
    if not user.refresh:
        raise Skipped("auth.login.refresh is empty in the mapping: there is nothing to look at")
    after = user.api.step("refresh", with_token(user, ""))
    after.want_refused("After log-out the refresh token is refused")


# -- Errors

LEAKS = (
    *("Traceback (most recent call last)", 'File "/', "DEBUG = True", "DJANGO_SETTINGS_MODULE"),
    *("django.db.utils", "psycopg", "sqlite3.", "sqlalchemy.exc", "SQLSTATE", "syntax error at or"),
    *("You have an error in your SQL", "unterminated quoted string", "unrecognized token"),
    *("UNIQUE constraint failed", "duplicate key value violates", "at java.", "node_modules/"),
)
"""What tells an attacker, and no user, how the program is made."""


def no_leak(answer: Answer) -> Answer:
    """Fail if an answer is a server's error, or shows a stack trace or a database's words."""
    answer.want(answer.status < 500, "No error of the server (500 and above)")
    text = answer.text.replace('\\"', '"').lower()  # as JSON writes it
    found = [leak for leak in LEAKS if leak.lower() in text]
    return answer.want(not found, f"No internals of the program in an answer: {found[:3]}")


def error_form(answers: Sequence[Answer]) -> set[str]:
    """Fail unless refusals are JSON objects without internals, and have keys in common.

    Args:
        answers: Of requests that should be refused, of several kinds: 400, 401, 403, 404, 405.

    Returns:
        The keys that all have.
    """
    common: set[str] | None = None
    for answer in answers:
        no_leak(answer)
        answer.want(answer.refused, "The request is refused: status 400 to 499")
        kind = answer.headers.get("content-type", "")
        answer.want("json" in kind, "An error is JSON, as each other answer")
        data = answer.json
        answer.want(
            isinstance(data, dict) and data, "An error is a JSON object with something in it"
        )
        common = set(data) if common is None else common & set(data)
    if not common:
        shapes = {answer.status: sorted(answer.json) for answer in answers}
        raise Failed(
            sent="\n".join(answer.sent for answer in answers),
            came=f"objects with these keys: {shapes}",
            wanted="Errors have one form: at least one key that is in each of them",
        )
    return common


# -- Attacks

TRUE = ("' OR '1'='1", "%' OR '1'='1' -- ", "') OR ('1'='1", "' OR 1=1 -- ")
BROKEN = ("'", "''", '"', "\\", "1; SELECT 1", "%27", "' UNION SELECT NULL -- ", "\u0000")
SLEEP = 1.5
SLEEPERS = (f"'||pg_sleep({SLEEP})||'", f"1;SELECT pg_sleep({SLEEP})--", f"' OR SLEEP({SLEEP})='")


def injection(send: Callable[[str], Answer], rows: Callable[[Answer], int] | None = None) -> None:
    """Fail if a parameter reaches SQL: an error, more rows than there should be, or a pause.

    Nothing is sent that could change data.

    Args:
        send: Sends the text in the parameter under test; safe to repeat.
        rows: Returns how many rows an answer has. None if the parameter makes no list.
    """
    neutral = send("zq7xnothing")
    no_leak(neutral)
    for text in (*BROKEN, *TRUE):
        no_leak(send(text))
    if rows is not None and neutral.ok:
        base = rows(neutral)
        for text in TRUE:
            answer = send(text)
            if answer.ok and rows(answer) > base:
                answer.fail(f"A text with SQL in it is only a text: {base} rows, as for nonsense")
    for text in SLEEPERS:
        # Thrice slow, and never slow without it in between, is no accident.
        if all(send(text).seconds > SLEEP > send("zq7xnothing").seconds for _ in range(3)):
            send(text).fail(f"A text with SQL in it does not make the database pause {SLEEP} s")


def mass_assignment(
    send: Callable[[dict[str, Any]], Answer],
    read: Callable[[Answer], Mapping[str, Any]],
    forged: Mapping[str, Any],
) -> None:
    """Fail if fields that are not a client's to set are taken from its body.

    An API may refuse such a body (400 to 499) or leave the fields out.

    Args:
        send: Sends the ordinary body with these keys added.
        read: Returns the object afterwards, with the API's own names, best from another request.
        forged: Keys and values that must not be taken, under the API's own names. A value must
            differ from what an honest request leads to.
    """
    for key, value in forged.items():
        answer = send({key: value})
        no_leak(answer)
        if not answer.ok:
            answer.want(answer.refused, "The body is refused, or the field is left out")
            continue
        after = read(answer)
        if key in after and after[key] == value:
            answer.fail(f"{key!r} is not the client's to set, and afterwards it is {value!r}")


# -- Roles

ALLOWED, REFUSED = "allowed", "refused"


def matrix(
    requests: Mapping[str, Callable[[User], Answer]],
    users: Mapping[str, User],
    table: Mapping[str, Mapping[str, str]],
) -> None:
    """Fail unless each role may do what a table says, and nothing else.

    Args:
        requests: How to send each, by a name for the report. It makes what it needs anew, so that
            it can be sent by several.
        users: By role.
        table: By request and role: ALLOWED (no 401, 403, 404, 405 or 5xx) or REFUSED (401, 403 or
            404).
    """
    wrong: list[tuple[str, str, str, Answer]] = []
    for name, row in table.items():
        for role, wish in row.items():
            answer = requests[name](users[role])
            barred = answer.status in {401, 403, 404}
            right = barred if wish == REFUSED else not barred and answer.status not in {405}
            if not right or answer.status >= 500:
                wrong.append((name, role, wish, answer))
    if wrong:
        raise Failed(
            sent="\n".join(f"{name}, as {role}: {a.method} {a.path}" for name, role, _, a in wrong),
            came="\n".join(f"{name}, as {role}: {a.status}" for name, role, _, a in wrong),
            wanted="\n".join(f"{name}, as {role}: {wish}" for name, role, wish, _ in wrong),
        )


# -- Documentation


def docs_page(api: Api, name: str = "docs") -> Answer:
    """Fail unless a page for people documents the API, without an account."""
    answer = api.stranger.send(name, headers={"accept": "text/html"})
    answer.expect(200, wanted="Anyone can read the documentation")
    return answer.want(
        "html" in answer.headers.get("content-type", ""), "The documentation is HTML"
    )


def schema(api: Api, names: Iterable[str], name: str = "schema") -> dict[str, Any]:
    """Fail unless an OpenAPI schema has these requests of the mapping.

    Args:
        api: Where.
        names: Of the section paths. Those that the mapping leaves empty are not looked for.
        name: Of the schema's own request.

    Returns:
        The schema.
    """
    kinds = "application/vnd.oai.openapi+json, application/json"
    answer = api.stranger.send(name, headers={"accept": kinds})
    data = answer.expect(200, wanted="Anyone can read the schema").json
    answer.want(isinstance(data, dict) and "paths" in data, "The schema is OpenAPI, as JSON")
    base = "".join(server.get("url", "") for server in data.get("servers", [])[:1])
    base = "" if "://" in base else base.rstrip("/")
    known = {
        (method.upper(), shape(base + path))
        for path, methods in data["paths"].items()
        for method in methods
    }
    paths = api.names.data["paths"]
    wanted = [paths[each] for each in names if paths[each]]
    missing = []
    for text in wanted:
        method, path = text.split(" ", 1)
        if not {(method, shape(p)) for p in (path, api.client.prefix + path)} & known:
            missing.append(text)
    if missing:
        raise Failed(
            sent=answer.sent,
            came=f"a schema with {len(known)} requests; it lacks: {', '.join(missing)}",
            wanted="The schema describes each request of the API",
        )
    return dict(data)


def shape(path: str) -> str:
    """Return a path with {} for each name, and without a query."""
    words = path.split("?")[0].rstrip("/").split("/")
    return "/".join("{}" if word.startswith("{") else word for word in words)
