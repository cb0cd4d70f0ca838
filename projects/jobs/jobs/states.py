"""An application as a state machine.

`TRANSITIONS` is the one table in the code. The database holds the same table in a trigger (see the
migration `0002_state_machine`), and a test compares them: it tries every pair with plain SQL.
"""

from django.db.models import TextChoices


class Role(TextChoices):
    """What a user is. Each has exactly one role."""

    ADMIN = "admin"
    EMPLOYER = "employer"
    APPLICANT = "applicant"


class Status(TextChoices):
    """Where an application stands."""

    SUBMITTED = "submitted"
    IN_REVIEW = "in_review"
    INTERVIEW = "interview"
    OFFERED = "offered"
    HIRED = "hired"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"


TRANSITIONS: dict[tuple[Status, Status], Role] = {
    (Status.SUBMITTED, Status.IN_REVIEW): Role.EMPLOYER,
    (Status.SUBMITTED, Status.REJECTED): Role.EMPLOYER,
    (Status.SUBMITTED, Status.WITHDRAWN): Role.APPLICANT,
    (Status.IN_REVIEW, Status.INTERVIEW): Role.EMPLOYER,
    (Status.IN_REVIEW, Status.REJECTED): Role.EMPLOYER,
    (Status.IN_REVIEW, Status.WITHDRAWN): Role.APPLICANT,
    (Status.INTERVIEW, Status.OFFERED): Role.EMPLOYER,
    (Status.INTERVIEW, Status.REJECTED): Role.EMPLOYER,
    (Status.INTERVIEW, Status.WITHDRAWN): Role.APPLICANT,
    (Status.OFFERED, Status.HIRED): Role.APPLICANT,  # who accepts the offer
    (Status.OFFERED, Status.REJECTED): Role.EMPLOYER,  # who takes the offer back
    (Status.OFFERED, Status.WITHDRAWN): Role.APPLICANT,
}
"""Every legal change of the status, and who may make it."""

TARGETS = [(status.value, status.label) for status in Status if status != Status.SUBMITTED]
"""What a change may lead to, as choices."""


def actors(target: str) -> set[Role]:
    """Return who may ever set a status."""
    return {role for (_, to), role in TRANSITIONS.items() if to == target}


def choices(source: str, role: str) -> list[str]:
    """Return the statuses that somebody may set now."""
    return [to.value for (start, to), who in TRANSITIONS.items() if (start, who) == (source, role)]
