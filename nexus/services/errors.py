"""What a service can fail with."""


class ServiceError(RuntimeError):
    """A server did not start, or is not there any more; the message says why and what to do."""


class MissingProgram(ServiceError):  # noqa: N818 (reads as what it says)
    """A server's program is not on this machine; the message says how to install it."""
