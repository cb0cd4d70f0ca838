"""How often somebody may do something, counted in Valkey.

DRF's own throttles read a list, add to it and write it back: of requests that come together, all
see the same list. Here a script of Valkey's looks and counts in one step and one round trip, so
that a limit holds however many processes and threads ask at once.

A window begins with the first thing counted in it, and has a fixed length. What is refused is not
counted: it does not make the wait longer.
"""

import ipaddress
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import redis
import structlog
from django.conf import settings
from django.http import HttpRequest
from redis.backoff import NoBackoff
from redis.retry import Retry
from rest_framework.request import Request
from rest_framework.settings import api_settings
from rest_framework.throttling import BaseThrottle

if TYPE_CHECKING:
    from rest_framework.views import APIView  # which imports this module, by the settings

logger = structlog.get_logger(__name__)

TAKE = """
-- KEYS: the counters. ARGV: for each one its limit, and its window in milliseconds.
local wait = 0
for i, key in ipairs(KEYS) do
  if tonumber(redis.call('GET', key) or '0') >= tonumber(ARGV[2 * i - 1]) then
    wait = math.max(wait, redis.call('PTTL', key), 1)
  end
end
if wait == 0 then
  for i, key in ipairs(KEYS) do
    if redis.call('INCR', key) == 1 then
      redis.call('PEXPIRE', key, ARGV[2 * i])
    end
  end
end
return wait
"""
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


@dataclass(frozen=True, kw_only=True)
class Rate:
    """At most `limit` in `seconds`."""

    limit: int
    seconds: int

    @classmethod
    def parse(cls, text: str) -> "Rate":
        """Read a rate such as `100/m`, or `10/15m` for ten in a quarter of an hour.

        Raises:
            ValueError: if it is none.
        """
        found = re.fullmatch(r"(\d+)/(\d*)([smhd])", text)
        if not found:
            raise ValueError(f"{text!r} is not a rate such as 100/m or 10/15m")
        limit, count, unit = found.groups()
        return cls(limit=int(limit), seconds=int(count or 1) * SECONDS[unit])


def valkey() -> redis.Redis:
    """Return the client for counters; each process has one, and a pool of connections with it."""
    cache = settings.CACHES["default"]
    return _client(cache["LOCATION"], tuple(sorted(cache.get("OPTIONS", {}).items())))


@lru_cache
def _client(location: str, options: tuple[tuple[str, Any], ...]) -> redis.Redis:
    # One new try, at once: a restart of Valkey has cut the connections that wait in the pool.
    return redis.Redis.from_url(location, **(dict(options) | {"retry": Retry(NoBackoff(), 1)}))


def take(counters: Mapping[str, Rate]) -> int:
    """Count one more in all of the counters, or, if one of them is full, in none.

    Args:
        counters: The rate of each counter, by its key.

    Returns:
        0 if it was counted. If not, the number of seconds to wait.

    Raises:
        redis.RedisError: if Valkey does not answer.
    """
    arguments = [
        number for rate in counters.values() for number in (rate.limit, rate.seconds * 1000)
    ]
    milliseconds = valkey().register_script(TAKE)(keys=list(counters), args=arguments)
    return math.ceil(int(milliseconds) / 1000)


def client_address(request: HttpRequest | Request) -> str:
    """Return what to count a client's requests by: its IPv4 address, or its IPv6 network.

    The header X-Forwarded-For is written by whoever wants to. It is believed for as many entries,
    from its end, as there are proxies of our own (TRUSTED_PROXIES), each of which adds the address
    that it was called from. A network of 64 bits is the least that a client with IPv6 has.
    """
    address = request.META.get("REMOTE_ADDR", "")
    forwarded = request.META.get("HTTP_X_FORWARDED_FOR", "")
    if settings.TRUSTED_PROXIES and forwarded:
        entries = forwarded.split(",")
        address = entries[-min(settings.TRUSTED_PROXIES, len(entries))].strip()
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        # A socket has no address; a proxy that writes something else is misconfigured. All such
        # clients share a counter, which is no way around the limit.
        return "unknown"
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((int(parsed), 64), strict=False))
    return str(parsed)


class CountingThrottle(BaseThrottle):
    """Counts requests in Valkey, and lets them pass if Valkey is down: this is about fairness.

    The rates are DRF's DEFAULT_THROTTLE_RATES, by `scope`; with None nothing is counted.
    """

    scope: str
    seconds = 0

    def ident(self, request: Request) -> str | None:
        """Return whom to count for, or None if the request is not counted here."""
        return client_address(request)

    def allow_request(self, request: Request, view: "APIView") -> bool:  # noqa: ARG002
        """Count a request, and return whether it may pass."""
        return self._count(self.ident(request))

    def _count(self, ident: str | None) -> bool:
        rate = api_settings.DEFAULT_THROTTLE_RATES.get(self.scope)
        if rate is None or ident is None:
            return True
        try:
            self.seconds = take({f"throttle:{self.scope}:{ident}": Rate.parse(str(rate))})
        except redis.RedisError as error:
            logger.warning("throttle_not_counted", scope=self.scope, error=str(error))
            return True
        return self.seconds == 0

    def wait(self) -> float | None:
        """Return the number of seconds for Retry-After."""
        return self.seconds


class AnonymousThrottle(CountingThrottle):
    """Counts requests without a user, by address."""

    scope = "anon"

    def ident(self, request: Request) -> str | None:
        """Return the address, unless there is a user."""
        return None if request.user.is_authenticated else super().ident(request)

    def allow_address(self, request: Request) -> bool:
        """Count a request whose user is not known, and return whether it may pass."""
        return self._count(super().ident(request))


class UserThrottle(CountingThrottle):
    """Counts a user's requests, from wherever they come."""

    scope = "user"

    def ident(self, request: Request) -> str | None:
        """Return the user's id, if there is a user."""
        return str(request.user.pk) if request.user.is_authenticated else None


class ViewThrottle(CountingThrottle):
    """Counts requests to views with a `throttle_scope` by address, as DRF's ScopedRateThrottle.

    Registrations tell which addresses have an account, and others send an e-mail to somebody.
    """

    def allow_request(self, request: Request, view: "APIView") -> bool:
        """Count a request, and return whether it may pass."""
        self.scope = getattr(view, "throttle_scope", "")
        return super().allow_request(request, view)
