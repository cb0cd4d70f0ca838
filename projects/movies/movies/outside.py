"""Asking the outside API: time-outs, retries, and a circuit breaker.

Three limits of time hold, because each alone can be got around. `connect` and `read` bound one
step, so that a server that sends a byte now and then never meets them. `deadline` bounds all of it:
every attempt, and every pause in between.
"""

import asyncio
import email.utils
import logging
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

import httpx

logger = logging.getLogger(__name__)
T = TypeVar("T")

RETRIED = {429, 500, 502, 503, 504}
MAX_ANSWER = 1_000_000
"""Bytes. A page of twenty movies has about 15,000."""
LONGEST_PAUSE = 300.0
"""Seconds. No header of the outside's makes us wait longer."""
TOO_MANY_PAUSE = 1.0
"""Seconds to wait after a 429 that has no usable Retry-After."""


class OutsideError(Exception):
    """The outside gives no answer that can be used.

    Attributes:
        retry_after: Seconds after which asking again may help.
    """

    def __init__(self, reason: str, *, retry_after: float = 1.0) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


class Misconfigured(OutsideError):
    """The outside refuses our token or our request: asking again does not help."""


class NotFound(Exception):
    """The outside answers that there is no such thing. That is an answer, and no failure."""


class _Failed(Exception):
    """One attempt failed, and another one may not.

    Attributes:
        retry_after: Seconds after which the outside wants to be asked again, if it says so.
        alive: Whether the outside is well, and only wants to be asked less often.
    """

    def __init__(
        self, reason: str, *, retry_after: float | None = None, alive: bool = False
    ) -> None:
        super().__init__(reason)
        self.retry_after = retry_after
        self.alive = alive


@dataclass
class Breaker:
    """Stops asking an API that does not answer, and tries again with one request.

    It belongs to one process. Each process learns by itself, from `threshold` failures, so that no
    shared state can fail along with the outside.

    Attributes:
        threshold: So many failures in a row open it.
        seconds: So long it stays open before one request may try.
        clock: A clock that only goes forward.
    """

    threshold: int
    seconds: float
    clock: Callable[[], float] = time.monotonic
    failures: int = 0
    _open_until: float = 0.0
    _trying: bool = field(default=False, repr=False)

    @property
    def state(self) -> str:
        """closed, open, or half-open: the next request is the trial."""
        if self.clock() < self._open_until:
            return "open"
        return "half-open" if self.failures >= self.threshold else "closed"

    def enter(self) -> None:
        """Let a request pass.

        Raises:
            OutsideError: If it may not.
        """
        state = self.state
        if state == "open":
            raise OutsideError(
                "the outside is not asked at present", retry_after=self._open_until - self.clock()
            )
        if state == "half-open":
            if self._trying:
                raise OutsideError("one request tries whether the outside answers again")
            self._trying = True

    def succeeded(self) -> None:
        """Note that the outside answered."""
        self.failures, self._trying = 0, False

    def failed(self) -> None:
        """Note that it did not."""
        self.failures += 1
        self._trying = False
        if self.failures >= self.threshold:
            self.pause(self.seconds)

    def gave_up(self) -> None:
        """Note that nobody knows, because the request was given up."""
        self._trying = False

    def pause(self, seconds: float) -> None:
        """Let no request pass for some seconds."""
        self._trying = False
        until = self.clock() + min(seconds, LONGEST_PAUSE)
        self._open_until = max(self._open_until, until)


@dataclass(frozen=True)
class Policy:
    """How patient we are.

    Attributes:
        deadline: Seconds for all of it.
        attempts: How often to ask at most.
        base: The first pause is up to so many seconds; each further one up to twice that.
        longest: No pause of our own is longer.
    """

    deadline: float
    attempts: int
    base: float = 0.1
    longest: float = 1.0


class Outside:
    """The outside API.

    Args:
        client: With its time-outs and limits; it is shared by all requests.
        breaker: For this API.
        policy: How patient to be.
        spread: Returns a number between two. Full jitter keeps those who failed together from
            asking again together.
    """

    def __init__(
        self,
        client: httpx.AsyncClient,
        *,
        breaker: Breaker,
        policy: Policy,
        spread: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._client = client
        self.breaker = breaker
        self.policy = policy
        self._spread = spread

    async def get(
        self, path: str, parse: Callable[[bytes], T], query: Mapping[str, str | int] | None = None
    ) -> T:
        """Ask, and return what `parse` makes of the answer.

        Args:
            path: Below the API's address.
            parse: Raises ValueError if the answer is not what was promised.
            query: Parameters.

        Raises:
            NotFound: If there is no such thing.
            OutsideError: If no attempt gave an answer within the deadline.
        """
        try:
            async with asyncio.timeout(self.policy.deadline) as limit:
                return await self._attempts(path, parse, query, limit.when() or 0)
        except TimeoutError:
            self.breaker.failed()
            raise OutsideError(f"no answer within {self.policy.deadline} s") from None

    async def _attempts(
        self,
        path: str,
        parse: Callable[[bytes], T],
        query: Mapping[str, str | int] | None,
        until: float,
    ) -> T:
        attempt = 0
        while True:
            attempt += 1
            self.breaker.enter()
            try:
                result = parse(await self._send(path, query))
            except httpx.PoolTimeout as error:  # our own limit of connections: no failure of theirs
                self.breaker.gave_up()
                raise OutsideError("too many requests are under way") from error
            except (NotFound, Misconfigured):
                self.breaker.succeeded()
                raise
            except (_Failed, httpx.TransportError, ValueError) as error:
                wait = error.retry_after if isinstance(error, _Failed) else None
                reason = f"{type(error).__name__}: {error}"
                logger.warning("attempt %d at %s failed: %s", attempt, path, reason)
                if not (isinstance(error, _Failed) and error.alive):
                    self.breaker.failed()
                if wait is not None:  # nobody asks before
                    self.breaker.pause(wait)
            except BaseException:
                self.breaker.gave_up()
                raise
            else:
                self.breaker.succeeded()
                return result
            longest = min(self.policy.base * 2 ** (attempt - 1), self.policy.longest)
            pause = self._spread(0, longest) + (wait or 0)
            left = until - asyncio.get_running_loop().time()
            if attempt >= self.policy.attempts or pause >= left:
                raise OutsideError(reason, retry_after=max(wait or 0, 1.0))
            await asyncio.sleep(pause)

    async def _send(self, path: str, query: Mapping[str, str | int] | None) -> bytes:
        """Send one request, and return the body of a good answer."""
        async with self._client.stream("GET", path, params=query) as response:
            status = response.status_code
            if status == 404:
                raise NotFound(path)
            if status in RETRIED:
                wait = retry_after(response.headers.get("Retry-After"))
                if status == 429 and wait is None:
                    wait = TOO_MANY_PAUSE
                raise _Failed(f"status {status}", retry_after=wait, alive=status == 429)
            if status != 200:
                logger.error("the outside refuses %s with status %d", path, status)
                raise Misconfigured(f"status {status}", retry_after=60)
            if (encoding := response.headers.get("Content-Encoding", "identity")) != "identity":
                # A few bytes of it may be gigabytes.
                raise _Failed(f"the encoding {encoding!r}, which nobody has asked for")
            body = bytearray()
            async for part in response.aiter_raw():
                body += part
                if len(body) > MAX_ANSWER:
                    raise _Failed(f"more than {MAX_ANSWER} bytes")
            return bytes(body)


def retry_after(text: str | None) -> float | None:
    """Return the seconds that a Retry-After header asks for, or None if it says nothing usable.

    Args:
        text: Seconds or a date (RFC 9110, section 10.2.3).
    """
    if not text:
        return None
    if text.isascii() and text.isdecimal() and len(text) < 10:
        return float(text)
    try:
        moment = email.utils.parsedate_to_datetime(text)
    except (ValueError, OverflowError):  # a number of twenty digits is no day
        return None
    return max(moment.timestamp() - time.time(), 0.0)
