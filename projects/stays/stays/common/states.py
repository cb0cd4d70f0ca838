"""State machines: which status may follow which.

The table in the models makes the check in Python, which gives the refusal its words. A trigger (in
a migration) says the same to every program; a test holds the two together.
"""

from collections.abc import Mapping

from stays.common.errors import Conflict

Transitions = Mapping[str, frozenset[str]]


def check(transitions: Transitions, *, now: str, then: str, thing: str) -> None:
    """Refuse a transition that is not in the table.

    Args:
        transitions: For each status, those that may follow it.
        now: The status that the thing has.
        then: The status that it is to have.
        thing: What to call it in the refusal.

    Raises:
        Conflict: if the transition is illegal.
    """
    if then not in transitions[now]:
        raise Conflict(f"A {now} {thing} cannot become {then}.", code="illegal_transition")
