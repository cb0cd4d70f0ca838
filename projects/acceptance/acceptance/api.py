"""What a check is given: the API under test, its users, and names from the mapping."""

import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar, overload

from acceptance.check import Skipped
from acceptance.client import Answer, Client
from acceptance.mapping import Mapping as Names
from acceptance.mapping import MappingError, dig, filled, secret

Made = TypeVar("Made")
PAGES = 200
"""Pages after which a walk gives up."""
PATIENCE = 5.0
"""Seconds that a run waits for an API which says 429 and Retry-After."""


@dataclass(eq=False)
class User:
    """Someone who sends requests, with a token or without.

    Attributes:
        api: Where to.
        role: What the suite calls the role.
        username: Empty for a stranger without an account.
        password: Of the account.
        access: The token that is sent; empty for none.
        refresh: The token for a new one, if the API gave one.
    """

    api: "Api"
    role: str = ""
    username: str = ""
    password: str = field(default="", repr=False)
    access: str = field(default="", repr=False)
    refresh: str = field(default="", repr=False)

    @property
    def email(self) -> str:
        """The user name if it is an address, else one that reaches nobody (RFC 2606)."""
        return self.username if "@" in self.username else f"{self.username}@example.com"

    def send(
        self,
        name: str,
        *,
        json: Any = None,
        content: str | bytes | None = None,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        **names: object,
    ) -> Answer:
        """Send a request with this user's token.

        Args:
            name: The request's name in the mapping's section paths, or "GET /some/path".
            json: Sent as JSON.
            content: Sent as it is.
            params: Of the query, under the suite's names.
            headers: Besides the token.
            names: What to put in for {names} of the path.
        """
        method, path = self.api.names.path(name, **names)
        query = self.api.names.parameters(params or {})
        token = self.api.token(self.access) if self.access else {}
        return self.api.client.send(
            method,
            path,
            json=json,
            content=content,
            params=query,
            headers={**token, **(headers or {})},
            who=f"{self.role or 'user'} {self.username}" if self.access else "nobody",
        )

    def graphql(self, name: str, **variables: Any) -> Answer:
        """Send an operation of the mapping's section operations to paths.graphql."""
        query = self.api.names.data["operations"].get(name, name)
        if not query:
            raise Skipped(f"operations.{name} is empty in the mapping: the API has none")
        return self.send("graphql", json={"query": query, "variables": variables})


@dataclass(eq=False)
class Api:
    """The API under test.

    Attributes:
        client: Sends.
        names: Translates.
        made: What `once` has made in this run.
    """

    client: Client
    names: Names
    made: dict[object, Any] = field(default_factory=dict)

    @property
    def stranger(self) -> User:
        """Somebody without a token."""
        return User(self)

    def user(self, role: str = "user") -> User:
        """Return the run's one user of a role; made, and logged in, at its first use."""
        return self.once(("user", role), lambda _: self.new_user(role))

    def users(self, count: int, role: str = "user") -> list[User]:
        """Return so many different users of a role; they are made once a run."""
        return [
            self.once(("user", role, number), lambda _: self.new_user(role))
            for number in range(count)
        ]

    def new_user(self, role: str = "user") -> User:
        """Register a new account and log in; or log in as the account that the mapping names.

        Raises:
            Failed: If the API refuses.
            Skipped: If the API limits the rate of log-ins, or the role cannot be had.
        """
        roles = self.names.data["roles"]
        if role not in roles:
            raise MappingError(f"The suite asks for a role {role}, which its mapping lacks")
        own = roles[role]
        if own["username"]:
            given = User(self, role, secret(own["username"]), secret(own["password"]))
        else:
            name = f"acceptance-{secrets.token_hex(5)}"
            given = User(self, role, name, f"Pw-{secrets.token_urlsafe(12)}")
            self.step("register", given, own["extra"]).expect(
                wanted="A new account can be registered (auth.register of the mapping says how)"
            )
        return self.log_in(given)

    def log_in(self, user: User) -> User:
        """Get tokens for an account, and return it."""
        answer = self.step("login", user).expect(
            wanted="The account can log in (auth.login of the mapping says how)"
        )
        user.access = self.token_in("login", "access", answer)
        if self.names.data["auth"]["login"]["refresh"]:
            user.refresh = self.token_in("login", "refresh", answer)
        return user

    def step(
        self, step: str, user: User, more: Mapping[str, Any] | None = None, **values: str
    ) -> Answer:
        """Send a request of the mapping's section auth: register, login, refresh, logout or me.

        Args:
            step: Which.
            user: Whose name, password and tokens are put into the body.
            more: Added to the body.
            values: Put in instead of the user's.

        Raises:
            Skipped: If the mapping leaves it empty, or if the API limits its rate for long.
        """
        how = self.names.data["auth"][step]
        if not how["path"]:
            raise Skipped(f"auth.{step}.path is empty in the mapping: the API has none")
        own = {name: getattr(user, name) for name in ("username", "password", "email", "refresh")}
        body = {**filled(how["body"], {**own, **values}), **(more or {})}
        method, path = self.names.path(how["path"])
        headers = self.token(user.access) if user.access else {}
        who = f"{user.role} {user.username}"
        form: dict[str, Any] = {"form" if how["form"] else "json": body} if body else {}
        deadline = time.monotonic() + PATIENCE
        while True:
            answer = self.client.send(method, path, headers=headers, who=who, **form)
            after = answer.headers.get("retry-after", "")
            pause = float(after) if after.isdecimal() else PATIENCE + 1
            if answer.status != 429 or step == "refresh":
                return answer
            if time.monotonic() + pause > deadline:
                raise Skipped(
                    f"The API limits how often one may {step} (429, Retry-After {after or 'none'})."
                    " Raise that limit for this run"
                )
            time.sleep(pause)

    def token(self, access: str) -> dict[str, str]:
        """Return the header that carries a token."""
        auth = self.names.data["auth"]
        return {auth["header"]: f"{auth['scheme']} {access}".strip()}

    def token_in(self, step: str, which: str, answer: Answer) -> str:
        """Return a token of an answer to log-in or refresh, by the mapping's word for it."""
        place = self.names.data["auth"][step][which]
        try:
            return str(dig(answer.json, place))
        except LookupError:
            answer.fail(f"A token at {place!r} (auth.{step}.{which} of the mapping says where)")

    @overload
    def once(self, key: "Callable[[Api], Made]") -> Made: ...
    @overload
    def once(self, key: object, make: "Callable[[Api], Made]") -> Made: ...
    def once(self, key: Any, make: Any = None) -> Any:
        """Return what a function makes; it is made once a run, and an exception is kept too.

        Args:
            key: A name; or the function itself, which is called with this object.
            make: The function, if the key is a name.
        """
        if key not in self.made:
            try:
                self.made[key] = (make or key)(self)
            except Exception as error:
                self.made[key] = error
        if isinstance(self.made[key], Exception):
            raise self.made[key]
        return self.made[key]

    def body(self, kind: str, **values: Any) -> dict[str, Any]:
        """Return data to send, under the API's names; see Mapping.body."""
        return self.names.body(kind, **values)

    def field(self, kind: str, name: str, data: Any) -> Any:
        """Return a field of what came. `data` may be an Answer; see Mapping.field."""
        if isinstance(data, Answer):
            return self.names.field(kind, name, data.json, data)
        return self.names.field(kind, name, data)

    def value(self, name: str) -> Any:
        """Return what the API calls a value; see Mapping.value."""
        return self.names.value(name)

    def has(self, kind: str, *names: str) -> bool:
        """Whether the API has these fields; see Mapping.has."""
        return self.names.has(kind, *names)

    def items(self, answer: Answer) -> list[Any]:
        """Return the rows of a list's answer, by lists.items of the mapping."""
        place = self.names.data["lists"]["items"]
        try:
            rows = dig(answer.expect().json, place)
        except LookupError:
            rows = None
        if not isinstance(rows, list):
            answer.fail(f"A list at {place or 'the top'!r} (lists.items of the mapping says where)")
        return rows

    def pages(
        self,
        user: User,
        name: str,
        *,
        params: Mapping[str, Any] | None = None,
        size: int | None = None,
        **names: object,
    ) -> Iterator[Answer]:
        """Walk a list page by page, and yield each page's answer.

        With lists.next in the mapping, what stands there is followed: a link, or a cursor that is
        sent as lists.cursor. Without it, lists.page is counted up until a page has no rows.
        """
        lists = self.names.data["lists"]
        own = self.names.parameters(params or {})
        if size is not None and lists["size"]:
            own[lists["size"]] = size
        method, path = self.names.path(name, **names)
        query: dict[str, Any] = own
        seen: set[str] = set()
        for number in range(1, PAGES + 1):
            if not lists["next"] and lists["page"] and number > 1:
                query = {**own, lists["page"]: number}
            answer = user.send(f"{method} {escaped(path)}", params=query)
            if number > 1 and not lists["next"] and answer.status == 404:
                return
            rows = self.items(answer)
            if number > 1 and not rows:
                return
            yield answer
            if not lists["next"]:
                if not lists["page"]:
                    return
                continue
            try:
                further = dig(answer.json, lists["next"])
            except LookupError:
                further = None
            if not further:
                return
            answer.want(str(further) not in seen, "Each page leads to a page that is new")
            seen.add(str(further))
            if lists["cursor"]:
                query = {**own, lists["cursor"]: further}
            else:
                path, query = self.client.local(str(further)), {}
        answer.fail(f"The list ends after fewer than {PAGES} pages")

    def all(self, user: User, name: str, **how: Any) -> list[Any]:
        """Return all rows of a list, page by page."""
        return [row for page in self.pages(user, name, **how) for row in self.items(page)]


def escaped(path: str) -> str:
    """Return a path whose braces are no {names}."""
    return path.replace("{", "{{").replace("}", "}}")
