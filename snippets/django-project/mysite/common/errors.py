"""What a service raises when a rule forbids what was asked."""


class Refused(Exception):  # noqa: N818 (it is an answer, not a fault)
    """A rule was broken; the text may be shown to whoever asked."""
