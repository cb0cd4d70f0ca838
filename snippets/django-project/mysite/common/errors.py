"""The exception that a service raises when a rule forbids a change."""


class Refused(Exception):  # noqa: N818 (an answer, not a fault)
    """A rule was broken. The text may be shown to the client."""
