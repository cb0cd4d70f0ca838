"""How is a GraphQL schema served over HTTP, without an explorer page and without queries by GET?

Django 5.2 or newer and Strawberry 0.340 or newer. Run it with `uvicorn serve:application` in this
folder, and ask it:

    curl -H 'Content-Type: application/json' http://127.0.0.1:8000/graphql \
        -d '{"query": "{ books(first: 2) { items { title author { name } } next } }"}'

Watch out:
* In your project, only the view and its address are new. The settings are here so that the example
  is complete. Name your hosts in ALLOWED_HOSTS.
* `graphql_ide=None`: the explorer page would load scripts from a third party.
* The view is exempt from Django's CSRF protection, because nothing here reads a cookie. With
  sessions, keep the protection on, and send the token. Otherwise clients see
  `Forbidden (CSRF cookie not set.)`.
* `/graphql` has no slash at the end. If your address ends with a slash, Django redirects a POST
  without the slash, and the query is lost.
"""

import os
from typing import Any

import django
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.http import HttpRequest, HttpResponse
from django.urls import path
from schema import Context, new_context, schema
from strawberry.django.views import AsyncGraphQLView

BODY_BYTES = 20_000

settings.configure(
    ALLOWED_HOSTS=os.environ.get("ALLOWED_HOSTS", "127.0.0.1,localhost").split(","),
    DATA_UPLOAD_MAX_MEMORY_SIZE=BODY_BYTES,
    ROOT_URLCONF=__name__,
    MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
)
django.setup(set_prefix=False)


class GraphQLView(AsyncGraphQLView):
    """`/graphql`."""

    async def get_context(
        self,
        request: HttpRequest,  # noqa: ARG002
        response: HttpResponse,  # noqa: ARG002
    ) -> Context:
        """Return a new context, with dataloaders that live as long as the request."""
        return new_context()


view: Any = GraphQLView.as_view(schema=schema, graphql_ide=None, allow_queries_via_get=False)
urlpatterns = [path("graphql", view)]
application = get_asgi_application()
