"""Registration, log-in, tokens, and what users do with their own account.

Tokens are JWTs of simplejwt's classes; what they mean is in the session's row. An access token
names its session and is good while that is. Of a session's refresh tokens one is good: the one
whose `jti` the row has.
"""

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import F, ProtectedError
from django.utils import timezone

from stays.accounts import attempts, resets, selectors, verifications
from stays.accounts.models import DELETED, Role, Session, User
from stays.accounts.tokens import SESSION_CLAIM, RefreshToken, invalid, read
from stays.common.cache import invalidate
from stays.common.constraints import refusing
from stays.common.errors import Conflict, Forbidden, Invalid, NotFound, Unauthenticated
from stays.outbox.services import send

GRACE = timedelta(seconds=10)
"""How long after a rotation the old token may come again without being taken for stolen: a client
that got no answer tries again, and two tabs of a browser may refresh at once."""


MAX_CLIENT = 200
"""Characters that are kept of what a client calls itself."""


@dataclass(frozen=True, kw_only=True)
class Tokens:
    """What a client needs to be known from now on."""

    access: str
    refresh: str
    expires_in: int
    """Seconds until the access token expires."""


def register(*, email: str, name: str, password: str) -> User:
    """Make an account, and have a token sent to its address.

    That an address is taken is said: an account can be used before its address is verified, so a
    log-in after the registration would tell anyway. It is said as late as possible (the password is
    right, and hashed, which is what takes the time), in the same words for every account, and only
    so often (see `throttle_scope`).

    Raises:
        Invalid: if the password is too weak, or the address cannot be.
        Conflict: if there is an account with this address.
    """
    _check_new_password(password, User(email=email, name=name), field="password")
    taken = Conflict("There is an account with this address.", code="email_taken", field="email")
    # Python and PostgreSQL need not know the same capital letters of all scripts.
    odd = Invalid("This address is not in lower case.", code="email_case", field="email")
    with refusing({"accounts_user_email_key": taken, "user_email_lowercase": odd}):
        user = User.objects.create_user(email=email, password=password, name=name)
        _send_verification(user)
    return user


def _send_verification(user: User) -> None:
    """Have a token sent. As with that for a new password, whoever gets none asks again."""
    send(task="accounts.send_verification", arguments={"user_id": str(user.id)})


@transaction.atomic
def request_verification(*, actor: User) -> None:
    """Have another token sent to the actor's address; if it is verified, none is."""
    if not actor.email_verified:
        _send_verification(actor)


def verify_email(*, token: str) -> None:
    """Note that a user reads the mails of the account's address.

    It is one UPDATE that asks for the state before: of two that come with one token, one is let
    through.

    Args:
        token: The token of the e-mail.

    Raises:
        Invalid: if it is forged, too old or used, or the account has another address now.
    """
    if found := verifications.read(token):
        user_id, email = found
        unverified = User.objects.filter(id=user_id, email=email, is_active=True)
        if unverified.exclude(verified_email=email).update(verified_email=F("email")):
            return
    raise Invalid("The token is not good (any more).", code="token_not_valid", field="token")


def _check_new_password(password: str, user: User, *, field: str) -> None:
    """Refuse a password that is too weak."""
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise Invalid(
            " ".join(error.messages), code=error.error_list[0].code, field=field
        ) from error


def check_credentials(*, email: str, password: str, address: str) -> User:
    """Return the user who has this e-mail address and password.

    For an unknown address a hash is computed too: the time does not tell whether there is one.

    Args:
        email: The account's address, in any case.
        password: The password.
        address: The client's, as `client_address` returns it; attempts are counted by it.

    Raises:
        Unauthenticated: if there is no such user who may come in.
        TooMany: if there were too many attempts; the password was not looked at then.
        Unavailable: if attempts cannot be counted.
    """
    email = User.normalize_username(email)
    with attempts.counted(email=email, address=address):
        user = User.objects.filter(email=email).first()
        if not _password_is_right(user, password) or user is None or not user.is_active:
            raise Unauthenticated("The address or the password is wrong.", code="credentials")
        return user


def _password_is_right(user: User | None, password: str) -> bool:
    """Check a password, taking as long whether there is a user or not."""
    return (user or User()).check_password(password)


def _confirm_password(actor: User, password: str, address: str) -> None:
    """Refuse a wrong password of somebody who is signed in already."""
    with attempts.counted(email=actor.email, address=address):
        if not _password_is_right(actor, password):
            raise Forbidden("The password is wrong.", code="credentials")


def log_in(*, email: str, password: str, address: str, client: str = "") -> Tokens:
    """Begin a session.

    Args:
        email: The account's address, in any case.
        password: The password.
        address: The client's, as `client_address` returns it; attempts are counted by it.
        client: What the client calls itself. Users know their sessions by it.

    Raises:
        Unauthenticated: if there is no such user who may come in.
        TooMany: if there were too many attempts; the password was not looked at then.
        Unavailable: if attempts cannot be counted.
    """
    user = check_credentials(email=email, password=password, address=address)
    refresh = RefreshToken()
    with transaction.atomic():
        # The account may be deleted at this moment, and must not get a session after that.
        if not User.objects.select_for_update(no_key=True).filter(id=user.id, is_active=True):
            raise Unauthenticated("The address or the password is wrong.", code="credentials")
        session = Session.objects.create(
            user=user,
            client="".join(filter(str.isprintable, client))[:MAX_CLIENT],
            refresh_jti=refresh["jti"],
            expires_at=_expiry(refresh),
        )
    return _tokens(refresh, session.id)


def rotate(*, refresh: str) -> Tokens:
    """Exchange a refresh token for new tokens; the session lives on from now.

    The row is changed by one UPDATE that asks for the old `jti`. Of many at once, PostgreSQL lets
    one through; the others wait for it, look at the row again, and find another `jti` there.

    A token that was used before is refused. If it comes later than GRACE after the last rotation,
    it has been stolen, or the one who used it was the thief: the session ends. This is no single
    transaction, for the refusal must not undo that.

    Raises:
        Unauthenticated: if the token is not good.
    """
    token, session_id = read(RefreshToken, refresh)
    new = RefreshToken()
    now = timezone.now()
    # The users are a subquery, not a join: Django makes `id IN (SELECT …)` of an update with a
    # join, and PostgreSQL, when it looks at a changed row again, does not run that again. Then
    # all of those that wait would be let through.
    rotated = Session.objects.filter(
        id=session_id,
        refresh_jti=token["jti"],
        revoked_at=None,
        expires_at__gt=now,
        user__in=User.objects.filter(is_active=True),
    ).update(refresh_jti=new["jti"], rotated_at=now, expires_at=_expiry(new))
    if rotated:
        return _tokens(new, session_id)
    Session.objects.filter(
        id=session_id, revoked_at=None, rotated_at__lte=timezone.now() - GRACE
    ).exclude(refresh_jti=token["jti"]).update(revoked_at=timezone.now())
    raise invalid(RefreshToken)


def log_out(*, refresh: str) -> None:
    """End the session of a refresh token, be it the newest or one that was used before.

    A session that has ended stays so: this may be done twice.

    Raises:
        Unauthenticated: if the token is forged, expired or of another kind.
    """
    _, session_id = read(RefreshToken, refresh)
    revoke_sessions(ids=[session_id])


def revoke_sessions(*, ids: list[uuid.UUID]) -> int:
    """End sessions, and return how many had not ended yet."""
    return Session.objects.filter(id__in=ids, revoked_at=None).update(revoked_at=timezone.now())


def end_session(*, actor: User, session_id: uuid.UUID) -> None:
    """End one of the actor's sessions, be it this one or another.

    Raises:
        NotFound: if the actor has no such session (any more).
    """
    sessions = selectors.sessions_of(user=actor).filter(id=session_id)
    if not sessions.update(revoked_at=timezone.now()):
        raise NotFound("There is no such session.")


@transaction.atomic
def update_profile(*, actor: User, name: str | None = None) -> User:
    """Change what others see of a user.

    Args:
        actor: The user.
        name: The new name; without it the old one stays.

    Raises:
        Unauthenticated: if the account is gone.
    """
    user = _locked(actor)
    if name is not None:
        user.name = name
        user.save(update_fields=["name"])
        if user.is_host:
            invalidate("hosts")
    return user


@transaction.atomic
def become_host(*, actor: User) -> User:
    """Let a user offer places. Who may already stays what they are.

    Raises:
        Unauthenticated: if the account is gone.
    """
    user = _locked(actor)
    if not user.is_host:
        user.role = Role.HOST
        user.save(update_fields=["role"])
    return user


def change_password(*, actor: User, password: str, new_password: str, address: str) -> None:
    """Give the actor a new password. All sessions end, also the one that this was asked in.

    Args:
        actor: The user.
        password: The one until now: a token that somebody left behind is not enough.
        new_password: The new one.
        address: The client's, as `client_address` returns it; attempts are counted by it.

    Raises:
        Forbidden: if the password is wrong.
        Invalid: if the new one is too weak.
        TooMany: if there were too many attempts; the password was not looked at then.
        Unavailable: if attempts cannot be counted.
        Unauthenticated: if the account is gone.
    """
    _confirm_password(actor, password, address)
    _check_new_password(new_password, actor, field="new_password")
    with transaction.atomic():
        user = _locked(actor)
        user.set_password(new_password)
        user.save(update_fields=["password"])


@transaction.atomic
def request_password_reset(*, email: str) -> None:
    """Have a token sent to an address, by which its user can set a new password.

    Whether there is an account is not told, neither in words nor by the time: the worker looks for
    it. There is no sweep for the e-mail, for whoever gets none asks again: five times an hour.

    Args:
        email: The address, in any case.
    """
    if attempts.may_mail(User.normalize_username(email)):
        send(task="accounts.send_reset", arguments={"email": email})


@transaction.atomic
def reset_password(*, token: str, new_password: str) -> None:
    """Set a new password by a token that was sent by e-mail. All of the user's sessions end.

    The row is locked before the token is looked at. So of two that come with one token, the second
    one finds another password, for which the token is not good.

    Args:
        token: The token.
        new_password: The new password.

    Raises:
        Invalid: if the token is not good (any more), or the password is too weak.
    """
    user_id = resets.user_id_of(token)
    locked = User.objects.select_for_update().filter(is_active=True)
    user = locked.filter(id=user_id).first() if user_id else None
    if user is None or not resets.is_good(token, user):
        raise Invalid("The token is not good (any more).", code="token_not_valid", field="token")
    _check_new_password(new_password, user, field="new_password")
    user.set_password(new_password)
    user.verified_email = user.email  # that is where the token was sent
    user.save(update_fields=["password", "verified_email"])


def delete_account(*, actor: User, password: str, address: str) -> None:
    """Delete the actor's account.

    A user whom others' rows point to (a host, a guest, the writer of a message) cannot be deleted:
    the database protects these. Such an account keeps its id and loses everything that tells who
    it was; nobody can log in to it, and its address is free. Its places are taken off the list.

    Args:
        actor: The user.
        password: The user's, again: a token that somebody left behind is not enough.
        address: The client's, as `client_address` returns it; attempts are counted by it.

    Raises:
        Forbidden: if the password is wrong.
        TooMany: if there were too many attempts; the password was not looked at then.
        Unavailable: if attempts cannot be counted.
        Unauthenticated: if the account is gone.
    """
    _confirm_password(actor, password, address)
    with transaction.atomic():
        user = _locked(actor)
        try:
            user.delete()
        except ProtectedError:  # it is found before anything is deleted
            _anonymise(user)


def _anonymise(user: User) -> None:
    """Take everything from a user that tells who it was, and every way in."""
    user.email = f"{user.id.hex}{DELETED}"
    user.verified_email = ""
    user.name = "Deleted user"
    user.set_unusable_password()
    user.is_active = user.is_staff = user.is_superuser = False
    user.role = Role.GUEST
    user.last_login = None
    user.save()
    user.groups.clear()
    user.user_permissions.clear()
    user.sessions.all().delete()
    send(task="listings.unlist_places", arguments={"host_id": str(user.id)})


def _locked(actor: User) -> User:
    """Return the actor as the database has it now, with the row locked.

    Raises:
        Unauthenticated: if the account is gone.
    """
    user = User.objects.select_for_update().filter(id=actor.id, is_active=True).first()
    if user is None:
        raise Unauthenticated("The account is gone.", code="account_gone")
    return user


def _expiry(refresh: RefreshToken) -> datetime:
    """Return when a refresh token expires, and its session with it."""
    return datetime.fromtimestamp(refresh["exp"], UTC)


def _tokens(refresh: RefreshToken, session_id: uuid.UUID) -> Tokens:
    """Write a session's id into a refresh token, and derive an access token from it."""
    refresh[SESSION_CLAIM] = str(session_id)
    access = refresh.access_token
    return Tokens(
        access=str(access),
        refresh=str(refresh),
        expires_in=int(access.lifetime.total_seconds()),
    )
