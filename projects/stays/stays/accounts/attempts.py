"""How often passwords may be tried: by account, and by the address that tries.

An attempt is counted before the password is looked at, so that of many at once no more than the
limit are. A right password gives the account all of its attempts back, but the address only the
one that it took: else a thief could wipe his count by a log-in of his own now and then.

Whoever knows an e-mail address can lock its account out for the length of the window. That is the
price of a limit by account, without which many machines guess at one password in turns.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import redis
import structlog
from django.conf import settings

from stays.common.errors import Refusal, TooMany, Unavailable
from stays.rest.throttling import Rate, take, valkey

logger = structlog.get_logger(__name__)

GIVE_BACK = """
-- KEYS: the account's counter, the address's. ARGV: whether the password was right.
if ARGV[1] == '1' then
  redis.call('DEL', KEYS[1])
elseif tonumber(redis.call('GET', KEYS[1]) or '0') > 0 then
  redis.call('DECR', KEYS[1])
end
if tonumber(redis.call('GET', KEYS[2]) or '0') > 0 then
  redis.call('DECR', KEYS[2])
end
"""


@contextmanager
def counted(*, email: str, address: str) -> Iterator[None]:
    """Count an attempt, and give it back unless the block refuses it.

    Args:
        email: The account's, whether there is one or not.
        address: The client's, as `client_address` returns it.

    Raises:
        TooMany: if there were too many. The block is not run then.
        Unavailable: if Valkey does not answer. Nobody comes in uncounted.
    """
    account, client = f"attempts:account:{_digest(email)}", f"attempts:address:{address}"
    try:
        seconds = take(
            {
                account: Rate.parse(settings.LOGIN_RATE_ACCOUNT),
                client: Rate.parse(settings.LOGIN_RATE_ADDRESS),
            }
        )
    except redis.RedisError as error:
        logger.error("attempts_not_counted", error=str(error))
        raise Unavailable("Passwords cannot be checked at the moment.") from error
    if seconds:
        raise TooMany("Too many attempts; try again later.", retry_after=seconds)
    try:
        yield
    except Refusal:
        raise
    except Exception:  # the database was away: nobody looked at the password
        _give_back(account, client, was_right=False)
        raise
    _give_back(account, client, was_right=True)


def _give_back(account: str, client: str, *, was_right: bool) -> None:
    """Uncount an attempt; if the password was right, all that failed before for the account too."""
    try:
        valkey().register_script(GIVE_BACK)(keys=[account, client], args=[int(was_right)])
    except redis.RedisError as error:
        logger.warning("attempts_not_given_back", error=str(error))


def may_mail(email: str) -> bool:
    """Count an e-mail that somebody unknown asks for, and tell whether it may be sent.

    Whoever asks from many addresses would else fill one user's mailbox. Without Valkey it may be.
    """
    try:
        return not take({f"mails:{_digest(email)}": Rate(limit=5, seconds=3_600)})
    except redis.RedisError:
        return True


def _digest(email: str) -> str:
    """Return a text of one length: no e-mail address goes into Valkey."""
    return hashlib.sha256(email.encode()).hexdigest()
