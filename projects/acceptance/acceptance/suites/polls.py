"""Online polls: create polls with options and an expiry, vote once, see results as they are.

The case study asks for polls with several options, expiry dates, votes without duplicates, results
in real time and a documented API. The other checks look at what that implies.
"""

import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Any

from acceptance import common, probes
from acceptance.api import Api, User
from acceptance.check import check
from acceptance.client import Answer
from acceptance.probes import ALLOWED, REFUSED

OPTIONS = ("Tea", "Coffee", "Water")
MANY = 10


def server_time(api: Api) -> datetime:
    """Return the server's time, which its answers carry, or else ours."""
    date = api.stranger.send("list").headers.get("date")
    return parsedate_to_datetime(date) if date else datetime.now(UTC)


def moment(when: datetime) -> str:
    """Return a moment as JSON carries it."""
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def poll_body(
    api: Api,
    question: str = "What do you drink?",
    options: Sequence[str] = OPTIONS,
    seconds: float = 86_400,
    **more: Any,
) -> dict[str, Any]:
    """Return the body of a new poll that is open for some seconds."""
    text = api.names.data["fields"]["new_option"]["text"]
    return api.body(
        "poll",
        question=question,
        options=[{text: option} for option in options] if text else list(options),
        closes=moment(server_time(api) + timedelta(seconds=seconds)),
        **more,
    )


def new_poll(user: User, **how: Any) -> tuple[Any, list[Any]]:
    """Create a poll, and return its id and those of its options."""
    api = user.api
    answer = user.send("create", json=poll_body(api, **how)).expect(
        201, 200, wanted="A user can create a poll with several options and an expiry"
    )
    poll = api.field("poll", "id", answer)
    read = user.send("read", poll=poll).expect(200, wanted="The poll can be read")
    return poll, [api.field("option", "id", row) for row in api.field("poll", "options", read)]


def vote(user: User, poll: Any, option: Any) -> Answer:
    """Vote."""
    return user.send("vote", poll=poll, option=option, json=user.api.body("vote", option=option))


def counts(user: User, poll: Any) -> list[int]:
    """Return the votes of each option, in the options' order."""
    api = user.api
    answer = user.send("results", poll=poll).expect(200, wanted="The results can be read")
    return [api.field("count", "votes", row) for row in api.field("results", "options", answer)]


def library(api: Api) -> list[Any]:
    """Create 30 polls, once a run, each by another of ten people in turn, and return their ids."""
    people = api.users(MANY, "voter")
    body = poll_body(api)
    answers = [people[number % MANY].send("create", json=body) for number in range(30)]
    return [api.field("poll", "id", answer.expect(201, 200)) for answer in answers]


@check(
    "create-and-read",
    "A user can create a poll with several options and an expiry, and anyone can read it",
    criterion="functionality",
    official=True,
    chapter="rest-with-drf",
)
def create_and_read(api: Api) -> None:
    """Create, read, compare."""
    poll, options = new_poll(api.user("owner"), question="Which drink?")
    answer = api.stranger.send("read", poll=poll).expect(200, wanted="Anyone can read a poll")
    right = api.field("poll", "question", answer) == "Which drink?" and len(options) == len(OPTIONS)
    answer.want(right, "The poll has the question and all the options that were sent")


@check(
    "one-vote",
    "A person votes once in a poll, and a second vote is refused",
    criterion="functionality",
    official=True,
    chapter="transactions-and-locks",
)
def one_vote(api: Api) -> None:
    """Vote twice, for the same option and for another one."""
    voter = api.user("voter")
    poll, options = new_poll(api.user("owner"))
    vote(voter, poll, options[0]).expect(wanted="A user can vote")
    for option in options[:2]:
        vote(voter, poll, option).want_refused("A second vote of the same person is refused")
    after = voter.send("results", poll=poll)
    after.want(counts(voter, poll) == [1, 0, 0], "The first vote counts, and it counts once")


@check(
    "one-vote-at-once",
    "A person votes once, also when ten votes arrive at once",
    criterion="functionality",
    chapter="transactions-and-locks",
)
def one_vote_at_once(api: Api) -> None:
    """Race ten votes of one person, and count afterwards."""
    voter = api.user("voter")
    poll, options = new_poll(api.user("owner"))
    calls = [partial(vote, voter, poll, options[n % 2]) for n in range(MANY)]
    probes.exactly(probes.race(api, calls), 1, "A person votes once")
    after = voter.send("results", poll=poll)
    after.want(sum(counts(voter, poll)) == 1, "The results have 1 vote")


@check(
    "no-lost-votes",
    "No vote is lost when ten people vote at once",
    criterion="functionality",
    chapter="transactions-and-locks",
)
def no_lost_votes(api: Api) -> None:
    """Race ten people, three times."""
    voters = api.users(MANY, "voter")
    for _ in range(3):
        poll, options = new_poll(api.user("owner"))
        calls = [partial(vote, each, poll, options[0]) for each in voters]
        probes.exactly(probes.race(api, calls), MANY, "Each of ten people votes")
        after = voters[0].send("results", poll=poll)
        after.want(counts(voters[0], poll) == [MANY, 0, 0], f"The results have {MANY} votes")


@check(
    "results-at-once",
    "The results are right in the moment after each vote",
    criterion="functionality",
    official=True,
    chapter="caching",
)
def results_at_once(api: Api) -> None:
    """Read the results after each of four votes."""
    poll, options = new_poll(api.user("owner"))
    wanted = [0, 0, 0]
    for voter, choice in zip(api.users(4, "voter"), (0, 2, 2, 1), strict=True):
        vote(voter, poll, options[choice]).expect(wanted="A user can vote")
        wanted[choice] += 1
        after = voter.send("results", poll=poll)
        after.want(counts(voter, poll) == wanted, f"The options have these votes now: {wanted}")


@check(
    "expiry",
    "After its expiry a poll takes no votes",
    criterion="functionality",
    official=True,
    chapter="transactions-and-locks",
)
def expiry(api: Api) -> None:
    """Create a poll that ends soon, wait for the server's clock, and vote."""
    first, late = api.users(2, "voter")
    poll, options = new_poll(api.user("owner"), seconds=4)
    vote(first, poll, options[0]).expect(wanted="Before its expiry a poll takes votes")
    ends = server_time(api) + timedelta(seconds=5)
    while server_time(api) < ends:  # at most ten requests a second
        time.sleep(0.1)
    vote(late, poll, options[0]).want_refused("After its expiry a poll takes no votes")
    after = first.send("results", poll=poll)
    after.want(counts(first, poll) == [1, 0, 0], "The results have the vote that came in time only")


@check(
    "expiry-in-the-past",
    "A poll that has expired already is not created",
    criterion="functionality",
    chapter="rest-with-drf",
)
def expiry_in_the_past(api: Api) -> None:
    """Send an expiry of yesterday."""
    answer = api.user("owner").send("create", json=poll_body(api, seconds=-86_400))
    answer.want_refused("An expiry in the past is refused")


@check(
    "several-options",
    "A poll has at least two options, and they differ",
    criterion="functionality",
    chapter="rest-with-drf",
)
def several_options(api: Api) -> None:
    """Send none, one, and two that are the same."""
    owner = api.user("owner")
    for options in ((), ("Tea",), ("Tea", "Tea")):
        answer = owner.send("create", json=poll_body(api, options=options))
        answer.want_refused(f"A poll with these options is refused: {list(options)}")


@check(
    "option-of-the-poll",
    "A vote for an option of another poll is refused",
    criterion="functionality",
    chapter="transactions-and-locks",
)
def option_of_the_poll(api: Api) -> None:
    """Vote in one poll for an option of another."""
    voter = api.user("voter")
    poll, _ = new_poll(api.user("owner"))
    other, options = new_poll(api.user("owner"))
    vote(voter, poll, options[0]).want_refused("The option belongs to another poll")
    for each in (poll, other):
        after = voter.send("results", poll=each)
        after.want(sum(counts(voter, each)) == 0, "No vote is counted in either poll")


@check(
    "no-edit-after-votes",
    "A poll does not change once somebody has voted",
    criterion="functionality",
    chapter="transactions-and-locks",
)
def no_edit_after_votes(api: Api) -> None:
    """Edit before and after the first vote."""
    owner = api.user("owner")
    poll, options = new_poll(owner)
    changed = api.body("poll", question="What do you eat?")
    owner.send("update", poll=poll, json=changed).expect(wanted="Before the first vote it may")
    vote(api.user("voter"), poll, options[0]).expect(wanted="A user can vote")
    answer = owner.send("update", poll=poll, json=api.body("poll", question="Do you agree?"))
    answer.want_refused("The question is not changed under votes that were given for another one")


@check(
    "private-results",
    "Private results are shown to the owner only, until the poll is closed",
    criterion="security",
    chapter="auth",
)
def private_results(api: Api) -> None:
    """Read results as owner, as voter and as nobody, before and after the end."""
    owner, voter = api.user("owner"), api.user("voter")
    poll, _ = new_poll(owner, private=True)
    owner.send("results", poll=poll).expect(200, wanted="The owner sees private results")
    for user in (voter, api.stranger):
        user.send("results", poll=poll).want_refused("Others do not see private results")
    owner.send("close", poll=poll).expect(wanted="The owner can close the poll early")
    voter.send("results", poll=poll).expect(200, wanted="Everybody sees them after the end")


@check(
    "roles",
    "Owners edit, close and delete their polls, and nobody else does",
    criterion="security",
    chapter="auth",
)
def roles(api: Api) -> None:
    """Send each request as each role."""
    owner = api.user("owner")
    users = {"owner": owner, "other": api.user("voter"), "nobody": api.stranger}
    changed = api.body("poll", question="What do you eat?")
    requests = {
        "update": lambda user: user.send("update", poll=new_poll(owner)[0], json=changed),
        "close": lambda user: user.send("close", poll=new_poll(owner)[0]),
        "delete": lambda user: user.send("delete", poll=new_poll(owner)[0]),
    }
    wish = {"owner": ALLOWED, "other": REFUSED, "nobody": REFUSED}
    paths = api.names.data["paths"]
    there = {name: call for name, call in requests.items() if paths[name]}
    probes.matrix(there, users, dict.fromkeys(there, wish))


@check(
    "token-needed",
    "Whoever has no token, or a wrong one, neither creates polls nor votes",
    criterion="security",
    official=True,
    chapter="auth",
)
def token_needed(api: Api) -> None:
    """Send no token, and nonsense."""
    probes.token_needed(api.user("voter"), api.names.data["auth"]["me"]["path"])
    poll, options = new_poll(api.user("owner"))
    vote(api.stranger, poll, options[0]).expect(401, 403, wanted="A stranger does not vote")
    answer = api.stranger.send("create", json=poll_body(api))
    answer.expect(401, 403, wanted="A stranger creates no poll")


@check("forged-token", "A forged token is refused", criterion="security", chapter="auth")
def forged_token(api: Api) -> None:
    """Send tokens that were changed."""
    probes.forged_token(api.user("voter"), api.names.data["auth"]["me"]["path"])


@check(
    "sql-injection",
    "A text with SQL in it is only a text",
    criterion="security",
    chapter="django-project",
)
def sql_injection(api: Api) -> None:
    """Put SQL into the filter of the list."""
    api.once(library)
    probes.injection(
        lambda text: api.user("voter").send("list", params={"owner": text}),
        lambda answer: len(api.items(answer)),
    )


@check(
    "mass-assignment",
    "The owner of a poll is not the client's to set",
    criterion="security",
    chapter="rest-with-drf",
)
def mass_assignment(api: Api) -> None:
    """Send another owner anyhow, and look at what is stored."""
    user, other = api.user("owner"), api.user("voter")
    probes.mass_assignment(
        lambda more: user.send("create", json={**poll_body(api), **more}),
        lambda answer: user.send("read", poll=api.field("poll", "id", answer)).json,
        api.body("poll", owner=other.username),
    )


@check(
    "stable-pages",
    "A walk through the pages gives each poll once, while polls are added",
    criterion="functionality",
    chapter="indexes-and-plans",
)
def stable_pages(api: Api) -> None:
    """Walk and write."""
    ids, user = api.once(library), api.user("voter")
    body = poll_body(api)
    probes.stable_walk(
        api,
        user,
        "list",
        key=lambda row: api.field("poll", "id", row),
        write=lambda: user.send("create", json=body),
        size=10,
        expected=ids,
    )


@check(
    "no-query-per-row",
    "A list's time hardly grows with its rows",
    criterion="performance",
    chapter="orm-and-n-plus-one",
)
def growth(api: Api) -> None:
    """Compare one row with thirty, of ten owners."""
    api.once(library)
    size = api.names.data["lists"]["size"]

    def get(rows: int) -> Answer:
        return api.user("voter").send("list", params={size: rows})

    probes.growth(lambda: get(1), lambda: get(30), rows=(1, len(api.items(get(30)))))


@check(
    "errors",
    "Errors are JSON of one form, and show nothing of the program",
    criterion="functionality",
    chapter="rest-with-drf",
)
def errors(api: Api) -> None:
    """Make an error of each kind."""
    user = api.user("voter")
    poll, options = new_poll(api.user("owner"))
    vote(user, poll, options[0]).expect(wanted="A user can vote")
    probes.error_form(
        [
            user.send("read", poll="00000000-0000-0000-0000-000000000000"),
            user.send("create", json={}),
            user.send("create", content="{", headers={"content-type": "application/json"}),
            vote(user, poll, options[0]),
            api.stranger.send("create", json=poll_body(api)),
        ]
    )


common.documentation(
    __name__, "list", "create", "read", "update", "delete", "close", "vote", "results"
)
