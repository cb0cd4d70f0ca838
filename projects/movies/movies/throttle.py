"""Limits by counting in Valkey."""

from django.conf import settings
from django.http import HttpRequest

from movies.services import services

COUNT = """
local count = redis.call('INCR', KEYS[1])
if count == 1 then redis.call('EXPIRE', KEYS[1], ARGV[1]) end
return {count, redis.call('TTL', KEYS[1])}
"""
"""In one step: a process that dies in between would leave a counter that never ends."""


async def over(name: str, limit: int, seconds: int) -> int:
    """Count one, and return the seconds to wait if there were too many, or else 0.

    Args:
        name: What is counted.
        limit: How many may be within the seconds. The window begins with the first.
        seconds: The window's length.
    """
    count, left = await services().valkey.eval(COUNT, 1, f"count:{name}", str(seconds))
    return max(int(left), 1) if count > limit else 0


async def forget(name: str) -> None:
    """Begin to count anew."""
    await services().valkey.delete(f"count:{name}")


def client_address(request: HttpRequest) -> str:
    """Return the address that a request comes from.

    X-Forwarded-For is believed as far as proxies of our own have written it: a client can send
    the header too, but only in front of what they add.
    """
    hops = [hop.strip() for hop in request.headers.get("X-Forwarded-For", "").split(",")]
    ours = settings.TRUSTED_PROXIES
    if ours and len(hops) >= ours and hops[-ours]:
        return str(hops[-ours])
    return str(request.META.get("REMOTE_ADDR", ""))
