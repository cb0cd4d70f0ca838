"""Checks that are the same in several suites. A suite registers them with one line."""

from acceptance import probes
from acceptance.api import Api
from acceptance.check import check


def tokens(suite: str, request: str = "", role: str = "user") -> None:
    """Register the five checks of a token: needed, not forged, ends, refreshed once, logged out.

    Args:
        suite: The name of the suite's module, `__name__` there.
        request: A request of the mapping that needs a token and changes nothing. By default it is
            the mapping's `auth.me`.
        role: Whose tokens are looked at.
    """

    def protected(api: Api) -> str:
        return request or str(api.names.data["auth"]["me"]["path"])

    @check(
        "token-needed",
        "Whoever has no token, or a wrong one, is refused",
        criterion="security",
        official=True,
        chapter="auth",
        suite=suite,
    )
    def token_needed(api: Api) -> None:
        probes.token_needed(api.user(role), protected(api))

    @check(
        "forged-token",
        "A forged token is refused",
        criterion="security",
        chapter="auth",
        suite=suite,
    )
    def forged_token(api: Api) -> None:
        probes.forged_token(api.user(role), protected(api))

    @check(
        "token-expires",
        "An access token ends within a day",
        criterion="security",
        chapter="auth",
        suite=suite,
    )
    def token_expires(api: Api) -> None:
        probes.token_expires(api.user(role))

    @check(
        "refresh-once",
        "A refresh token gives new tokens, once",
        criterion="security",
        chapter="auth",
        suite=suite,
    )
    def refresh_once(api: Api) -> None:
        probes.refresh_once(api.new_user(role), protected(api))

    @check(
        "logout",
        "Log-out ends the refresh token",
        criterion="security",
        chapter="auth",
        suite=suite,
    )
    def logout(api: Api) -> None:
        probes.logout(api.new_user(role))


def documentation(suite: str, *requests: str) -> None:
    """Register the checks that the API is described, and that the schema has each request.

    Args:
        suite: As for `tokens`.
        requests: Names of requests in the mapping. By default, all of them but the pages of the
            documentation.
    """

    @check(
        "docs",
        "The documentation can be read without an account",
        criterion="documentation",
        official=True,
        chapter="rest-with-drf",
        suite=suite,
    )
    def docs(api: Api) -> None:
        probes.docs_page(api)

    @check(
        "schema",
        "The schema has each request",
        criterion="documentation",
        official=True,
        chapter="rest-with-drf",
        suite=suite,
    )
    def schema(api: Api) -> None:
        there = [name for name in api.names.data["paths"] if name not in ("docs", "schema")]
        probes.schema(api, requests or there)
