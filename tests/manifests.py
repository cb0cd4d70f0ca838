"""What each manifest for Kubernetes is held to, whatever it is for."""

from collections.abc import Mapping
from typing import Any

import pytest

kubernetes_validate = pytest.importorskip(
    "kubernetes_validate", reason="kubernetes-validate is in requirements-heavy.txt"
)
VERSION = "1.37"


def refused(thing: Mapping[str, Any]) -> list[str]:
    """What the official schemas say against an object; a misspelt field is refused too."""
    try:
        kubernetes_validate.validate(thing, VERSION, strict=True)
    except kubernetes_validate.ValidationError as error:
        return [f"schema: {'.'.join(map(str, error.path))}: {error.message}"]
    return []


def is_restricted(pod: Mapping[str, Any], container: Mapping[str, Any]) -> bool:
    """Whether a Pod's spec keeps to the Pod security standard `restricted`."""
    of_pod, own = pod["securityContext"], container["securityContext"]
    return (
        of_pod.get("runAsNonRoot") is True
        and of_pod.get("seccompProfile") == {"type": "RuntimeDefault"}
        and own.get("allowPrivilegeEscalation") is False
        and own.get("capabilities") == {"drop": ["ALL"]}
    )
