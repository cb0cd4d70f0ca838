"""An HTTP client with limits, which keeps what it sent and what came, and knows one host only."""

import json as jsonlib
import re
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn
from urllib.parse import urlencode, urljoin, urlsplit

import httpx

from acceptance.check import Failed

SHOWN = 600
"""Characters of a body that a report shows."""
HOPS = 5
SECRETS = ("access", "password", "refresh", "secret", "token")
TOKEN = re.compile(
    r"""("\w*(?:access|password|refresh|secret|token)\w*"\s*:\s*")[^"]+""", re.IGNORECASE
)
"""A secret in an answer: a report may be shown to others."""


class Unreachable(Exception):
    """Nothing answers at the address."""


class Spent(Exception):
    """A limit of the whole run is reached, so that no more is sent."""


@dataclass(frozen=True)
class Limits:
    """What a run may cost the API.

    Attributes:
        requests: How many in all.
        parallel: How many at once.
        size: Bytes that are read of one answer.
        timeout: Seconds for one answer.
        seconds: Seconds for the whole run.
    """

    requests: int = 3_000
    parallel: int = 20
    size: int = 2_000_000
    timeout: float = 10.0
    seconds: float = 300.0


@dataclass(frozen=True)
class Answer:
    """What was sent and what came.

    Attributes:
        method: As sent.
        path: As sent, with its query.
        body: What was sent, as text; secrets are left out.
        who: Whose token was sent, for the report.
        status: Of the answer.
        headers: Of the answer; names are in lower case.
        text: Of the answer, no longer than the limit.
        seconds: From the first byte sent to the last one received.
        whole: Whether all of the answer was read.
    """

    method: str
    path: str
    body: str
    who: str
    status: int
    headers: Mapping[str, str]
    text: str
    seconds: float
    whole: bool = True

    @property
    def json(self) -> Any:
        """The answer's body as data.

        Raises:
            Failed: If it is not JSON.
        """
        try:
            return jsonlib.loads(self.text)
        except ValueError:
            self.fail("The answer is JSON")

    @property
    def ok(self) -> bool:
        """Whether the status says success."""
        return 200 <= self.status < 300

    @property
    def refused(self) -> bool:
        """Whether the status says that the client did something wrong: 400 to 499."""
        return 400 <= self.status < 500

    @property
    def sent(self) -> str:
        """What was sent, for a report."""
        by = f" (as {self.who})" if self.who else ""
        return f"{self.method} {self.path}{by}" + (f"\n{short(self.body)}" if self.body else "")

    @property
    def came(self) -> str:
        """What came, for a report."""
        kind = self.headers.get("content-type", "no content type")
        place = f", to {self.headers['location']}" if "location" in self.headers else ""
        text = TOKEN.sub(r"\1…", self.text)
        return f"{self.status} ({kind}{place})" + (f"\n{short(text)}" if text else "")

    def fail(self, wanted: str) -> NoReturn:
        """Fail the check with this exchange as its evidence.

        Args:
            wanted: What the check wants, as a full sentence.

        Raises:
            Failed: Always.
        """
        if self.status in {301, 302, 307, 308}:
            wanted += ". The answer is a redirect: perhaps the path in the mapping lacks its slash"
        raise Failed(sent=self.sent, came=self.came, wanted=wanted)

    def want(self, condition: object, wanted: str) -> "Answer":
        """Fail unless a condition holds.

        Args:
            condition: What must be true.
            wanted: What the check wants, as a full sentence.
        """
        if not condition:
            self.fail(wanted)
        return self

    def expect(self, *statuses: int, wanted: str = "") -> "Answer":
        """Fail unless the status is one of those.

        Args:
            statuses: Those that are right. None stands for any success.
            wanted: What the check wants; the statuses are added.
        """
        right = self.status in statuses if statuses else self.ok
        names = " or ".join(map(str, statuses)) or "a success (200 to 299)"
        return self.want(right, f"{wanted}: status {names}" if wanted else f"Status {names}")

    def want_refused(self, wanted: str) -> "Answer":
        """Fail unless the status says that the client did something wrong: 400 to 499."""
        return self.want(self.refused, f"{wanted}: status 400 to 499")


def short(text: str, length: int = SHOWN) -> str:
    """Return a text, or its beginning and its length."""
    return text if len(text) <= length else f"{text[:length]}… ({len(text)} characters)"


def hidden(data: Any) -> Any:
    """Return data without its secrets, for a report."""
    if isinstance(data, dict):
        return {
            key: "…" if any(word in str(key).lower() for word in SECRETS) else hidden(value)
            for key, value in data.items()
        }
    return [hidden(value) for value in data] if isinstance(data, list) else data


@dataclass
class Client:
    """Sends requests to one host, within limits.

    Attributes:
        url: Where the API is. Paths are appended to it.
        limits: What the run may cost.
        headers: Sent with each request.
        record: All that was sent and came, in order of the answers.
    """

    url: str
    limits: Limits = field(default_factory=Limits)
    headers: Mapping[str, str] = field(default_factory=dict)
    record: list[Answer] = field(default_factory=list)

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        try:
            right = parts.scheme in {"http", "https"} and parts.hostname and (parts.port or True)
        except ValueError:
            right = False
        if not right or parts.query or parts.fragment or parts.username:
            raise ValueError(f"{self.url!r} is no address such as http://127.0.0.1:8000")
        self.origin = f"{parts.scheme}://{parts.netloc}"
        self.prefix = parts.path.rstrip("/")
        self.sent = 0
        self._began = time.monotonic()
        self._lock = threading.Lock()
        self._places = threading.BoundedSemaphore(self.limits.parallel)
        self._http = httpx.Client(
            timeout=self.limits.timeout,
            follow_redirects=False,
            trust_env=False,  # no proxy, and no password from a file
            limits=httpx.Limits(max_connections=self.limits.parallel),
        )

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def local(self, address: str) -> str:
        """Return the path and query of a link that the API gave, for sending it to the one host."""
        parts = urlsplit(address)
        path = parts.path.removeprefix(self.prefix) if self.prefix else parts.path
        return path + (f"?{parts.query}" if parts.query else "")

    def send(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        content: str | bytes | None = None,
        form: Mapping[str, str] | None = None,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        who: str = "",
    ) -> Answer:
        """Send one request, and follow redirects that stay on the host.

        Args:
            method: GET, POST, …
            path: From the API's address on, with a slash first.
            json: Sent as JSON.
            content: Sent as it is.
            form: Sent as a form.
            params: Of the query.
            headers: Besides those of all requests.
            who: Whose token is in the headers, for the report.

        Raises:
            Failed: If no answer came in time, or if a redirect leads to another host.
            Spent: If the run has used up its limits.
            Unreachable: If nobody listens.
        """
        if not path.startswith("/"):
            raise ValueError(f"{path!r} does not begin with a slash")
        if params:
            pairs = urlencode({k: v for k, v in params.items() if v is not None}, doseq=True)
            path += ("&" if "?" in path else "?") + pairs if pairs else ""
        if json is not None:
            shown, content = jsonlib.dumps(hidden(json), ensure_ascii=False), jsonlib.dumps(json)
            kind = {"content-type": "application/json"}
        elif form is not None:
            shown, content = urlencode(hidden(dict(form))), urlencode(form)
            kind = {"content-type": "application/x-www-form-urlencoded"}
        else:
            shown = content if isinstance(content, str) else "" if content is None else "(bytes)"
            kind = {}
        # A connection for each request. One that is kept may be closed, by the server or by another
        # thread of httpx, in the moment in which it is taken again; a POST must not be sent twice.
        all_headers = {"accept": "application/json", **self.headers, **kind, **(headers or {})}
        all_headers["connection"] = "close"
        raw = content.encode() if isinstance(content, str) else content
        for _ in range(HOPS):
            answer = self._exchange(method, path, raw, all_headers, shown, who)
            if "location" not in answer.headers or not 300 <= answer.status < 400:
                return answer
            target = urljoin(self.origin + self.prefix + path, answer.headers["location"])
            there = urlsplit(target)
            if f"{there.scheme}://{there.netloc}" != self.origin:
                answer.fail(f"Redirects stay on {self.origin}; another host is not asked")
            if method not in {"GET", "HEAD"}:
                return answer
            path = self.local(target)
        return answer.want(False, f"No more than {HOPS} redirects")

    def _exchange(
        self,
        method: str,
        path: str,
        content: bytes | None,
        headers: Mapping[str, str],
        shown: str,
        who: str,
    ) -> Answer:
        """Send one request once, and record the answer."""
        with self._places:
            self._count()
            began = time.perf_counter()
            sent = f"{method} {path}" + (f"\n{short(shown)}" if shown else "")
            try:
                answer = self._read(method, path, content, headers, shown, who)
            except httpx.TimeoutException:
                wanted = f"An answer within {self.limits.timeout:g} s (see --timeout)"
                came = f"nothing in {time.perf_counter() - began:.1f} s"
                raise Failed(sent=sent, came=came, wanted=wanted) from None
            except httpx.ConnectError as error:
                raise Unreachable(f"Nothing answers at {self.url} ({error})") from None
            except httpx.TransportError as error:
                came = f"a broken connection ({type(error).__name__}: {error})"
                raise Failed(sent=sent, came=came, wanted="An answer in HTTP") from None
            with self._lock:
                self.record.append(answer)
            return answer

    def _count(self) -> None:
        with self._lock:
            if self.sent >= self.limits.requests:
                raise Spent(f"{self.limits.requests} requests are sent, and that is the limit")
            if time.monotonic() - self._began > self.limits.seconds:
                raise Spent(f"{self.limits.seconds:g} s are over, and that is the limit of a run")
            self.sent += 1

    def _read(
        self,
        method: str,
        path: str,
        content: bytes | None,
        headers: Mapping[str, str],
        shown: str,
        who: str,
    ) -> Answer:
        address = self.origin + self.prefix + path
        began = time.perf_counter()
        body, whole = b"", True
        with self._http.stream(method, address, content=content, headers=headers) as response:
            for chunk in response.iter_bytes():
                body += chunk
                if len(body) > self.limits.size:
                    body, whole = body[: self.limits.size], False
                    break
                if time.perf_counter() - began > self.limits.timeout:
                    raise httpx.ReadTimeout("The answer drips")
        return Answer(
            method=method,
            path=self.prefix + path,
            body=shown,
            who=who,
            status=response.status_code,
            headers=dict(response.headers),
            text=body.decode(response.encoding or "utf-8", errors="replace"),
            seconds=time.perf_counter() - began,
            whole=whole,
        )
