"""Query strings, read as strictly as bodies."""

import re
from typing import Any

from rest_framework import exceptions, serializers
from rest_framework.request import Request

from stays.rest.bodies import body_of
from stays.rest.fields import StrictSerializer

DIGITS = re.compile(r"-?[0-9]{1,18}", re.ASCII)


class WholeNumber(serializers.IntegerField):
    """An integer in a query string, in decimal digits: no `1.0`, no `1_000`, no space."""

    def to_internal_value(self, data: Any) -> int:
        """Return the number."""
        if not DIGITS.fullmatch(str(data)):
            self.fail("invalid")
        return int(data)


def read_query(request: Request, serializer: type[StrictSerializer]) -> dict[str, Any]:
    """Return the validated parameters of a request's query string.

    Args:
        request: The request.
        serializer: What the query string may hold.

    Raises:
        ValidationError: if a parameter is unknown, wrong, or comes twice.
    """
    parameters = request.query_params
    if repeated := sorted(name for name in parameters if len(parameters.getlist(name)) > 1):
        detail = exceptions.ErrorDetail("This is given more than once.", "repeated")
        raise exceptions.ValidationError({name[:100]: [detail] for name in repeated[:20]})
    return body_of(serializer, parameters.dict())
