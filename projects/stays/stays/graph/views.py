"""GraphQL over HTTP, after the specification's first edition (September 2026).

What is wrong with the HTTP request is answered with a problem, as in REST. A document that cannot
be parsed, is not valid, or asks for too much is a 400 with GraphQL's own errors, whatever media
type the client accepts. The edition prefers 422 to 400 for what was parsed; its drafts and the
audits of graphql-http have 400, and a client needs no difference. An answer with both data and
errors is a 294, if it goes under GraphQL's own media type.

There is no CSRF token, as for every view of DRF's: the only credential is a bearer token, which a
browser does not send of its own accord. The admin's session cookie says nothing here.
"""

from typing import Any, cast

from drf_spectacular.utils import extend_schema
from graphql import GraphQLError, get_operation_ast, parse
from graphql import OperationType as GraphQLOperation
from rest_framework.exceptions import MethodNotAllowed, NotAcceptable, ParseError
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.permissions import AllowAny
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView
from strawberry.schema.exceptions import CannotGetOperationTypeError, InvalidOperationTypeError
from strawberry.types.graphql import OperationType

from stays.graph.context import Context
from stays.graph.errors import formatted
from stays.graph.limits import TOKENS
from stays.graph.schema import schema
from stays.rest.idempotency import idempotent
from stays.rest.parsers import read_json

GRAPHQL = "application/graphql-response+json"
CHARSETS = ("", "; charset=utf-8", "; charset=UTF-8")
"""What clients add to the media types of their Accept header; it is what they get anyway."""
MUTATIONS_NEED_POST = "A mutation needs a POST."
ALLOWED = {
    "GET": {OperationType.QUERY, OperationType.SUBSCRIPTION},
    "POST": set(OperationType),
}


class GraphQLRenderer(JSONRenderer):
    """JSON under GraphQL's own media type."""

    media_type = GRAPHQL
    format = "graphql"


class Negotiation(DefaultContentNegotiation):
    """Knows the weights (`q`) in an Accept header, which DRF's own passes over."""

    def select_renderer(
        self, request: Request, renderers: Any, *_: Any, **__: Any
    ) -> tuple[BaseRenderer, str]:
        """Return the renderer that the client likes best, and its media type."""
        offered = {f"{r.media_type}{charset}": r for charset in CHARSETS for r in renderers}
        preferred = request._request.get_preferred_type(list(offered))
        if preferred is None:
            raise NotAcceptable(available_renderers=renderers)
        return offered[preferred], offered[preferred].media_type


class GraphQLView(APIView):
    """`/graphql`. Batches and uploads are not offered, and neither is a page to explore it with."""

    http_method_names = ["get", "head", "post"]  # noqa: RUF012
    permission_classes = [AllowAny]  # noqa: RUF012
    renderer_classes = [JSONRenderer, GraphQLRenderer]  # noqa: RUF012
    content_negotiation_class = Negotiation

    @extend_schema(exclude=True)
    def get(self, request: Request) -> Response:
        """Execute a query."""
        parameters: dict[str, Any] = request.query_params.dict()
        for name in ("variables", "extensions"):
            if parameters.get(name):
                parameters[name] = read_json(parameters[name])
        given = {name: value for name, value in parameters.items() if value != ""}
        return self.execute(request, given)

    @extend_schema(exclude=True)
    def post(self, request: Request) -> Response:
        """Execute a query or a mutation. Of a user's mutation the answer is kept for its key."""
        has_key = "Idempotency-Key" in request.headers and request.user.is_authenticated
        if has_key and is_mutation(request.data):
            return cast(Response, self.mutate(request))
        return self.execute(request, request.data)

    @idempotent
    def mutate(self, request: Request) -> Response:
        """Execute a mutation, once for each key."""
        return self.execute(request, request.data)

    def execute(self, request: Request, parameters: Any) -> Response:
        """Answer a request whose parameters have been read.

        Raises:
            ParseError: if they are not those of a GraphQL request.
            MethodNotAllowed: if it is a GET, and asks for a mutation.
        """
        query, variables, name = well_formed(parameters)
        try:
            result = schema.execute_sync(
                query,
                variable_values=variables,
                operation_name=name,
                context_value=Context(request),
                allowed_operation_types=ALLOWED["POST" if request.method == "POST" else "GET"],
            )
        except InvalidOperationTypeError:
            self.headers["Allow"] = "POST"
            raise MethodNotAllowed("GET", detail=MUTATIONS_NEED_POST) from None
        except CannotGetOperationTypeError as error:
            unknown = GraphQLError(error.as_http_error_reason())
            return self.answer({"errors": [formatted(unknown)[0]]}, 400)
        if not result.errors:
            return self.answer({"data": result.data}, 200)
        entries, faults = zip(*map(formatted, result.errors), strict=True)
        body: dict[str, Any] = {"errors": entries}
        if result.data is None and all(error.path is None for error in result.errors):
            return self.answer(body, 500 if any(faults) else 400)  # nothing was executed
        body["data"] = result.data
        # If all is lost by a fault of ours, the client may send the same again.
        return self.answer(body, 500 if result.data is None and any(faults) else 294)

    def answer(self, body: dict[str, Any], status: int) -> Response:
        """Return GraphQL's answer.

        Under application/json a client can rely on a 2xx only to come from here and not from
        something in between. So all else goes under GraphQL's own media type.
        """
        media_type = self.request.accepted_media_type
        if status == 294 and media_type != GRAPHQL:
            status = 200
        elif status >= 400:
            media_type = GRAPHQL
        headers = {"Cache-Control": "no-store"}
        response = Response(
            body, status, headers=headers, content_type=f"{media_type}; charset=utf-8"
        )
        if status == 294:
            response.reason_phrase = "Partial Success"
        return response


def is_mutation(parameters: Any) -> bool:
    """Tell whether parameters ask for a mutation. What cannot be read asks for nothing."""
    try:
        query, _, name = well_formed(parameters)
        document = parse(query, max_tokens=TOKENS, no_location=True)
    except (ParseError, GraphQLError, RecursionError):
        return False
    operation = get_operation_ast(document, name)
    return operation is not None and operation.operation is GraphQLOperation.MUTATION


def well_formed(parameters: Any) -> tuple[str, dict[str, Any] | None, str | None]:
    """Return the document, the variables and the operation's name.

    Raises:
        ParseError: if one of them is of the wrong type, or there is no document.
    """
    if not isinstance(parameters, dict):
        raise ParseError("The body must be one JSON object; batches are not offered.")
    query = parameters.get("query")
    if not isinstance(query, str) or not query:
        raise ParseError("query must be a string with a GraphQL document.")
    for name, kind, words in (
        ("variables", dict, "an object"),
        ("extensions", dict, "an object"),
        ("operationName", str, "a string"),
    ):
        if not isinstance(parameters.get(name), kind | None):
            raise ParseError(f"{name} must be {words} or null.")
    return query, parameters.get("variables"), parameters.get("operationName") or None
