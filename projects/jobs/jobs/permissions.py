"""Who may use which method of which route, by role. Each view says so in its `roles`."""

from typing import Any

from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

from jobs.states import Role

ANYBODY: frozenset[str] = frozenset({"anybody"})
SIGNED_IN: frozenset[str] = frozenset(Role.values)
ADMIN: frozenset[str] = frozenset({Role.ADMIN})
EMPLOYER: frozenset[str] = frozenset({Role.EMPLOYER})
APPLICANT: frozenset[str] = frozenset({Role.APPLICANT})
Roles = dict[str, frozenset[str]]
"""The roles that may use a method. A method that is missing is for nobody."""


class RoleAllows(BasePermission):
    """Looks the method up in the view's `roles`.

    A role opens a route only. Which rows a user reaches there, the view's queryset decides: what a
    user must not see is not found.
    """

    def has_permission(self, request: Request, view: Any) -> bool:
        """Say whether the caller's role may use the method."""
        method = request.method or ""
        if not hasattr(view, method.lower()):
            return True  # DRF then says that there is no such method
        allowed = roles_of(view, "GET" if method in SAFE_METHODS else method)
        return allowed == ANYBODY or getattr(request.user, "role", None) in allowed


def roles_of(view: Any, method: str) -> frozenset[str]:
    """Return who may use a method of a view."""
    roles: Roles = view.roles
    return roles.get(method, frozenset())
