"""The page at the root of the site: what is here, for whoever opens it in a browser."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from stays.rest.problems import only_reads

QUERY = "{ properties(first: 3, order: RATING_DESCENDING) { edges { node { title rating } } } }"
"""An example that can be followed as a link: GraphQL answers queries by GET, too."""


@only_reads
def start(request: HttpRequest) -> HttpResponse:
    """Show where the APIs and their descriptions are."""
    return render(request, "operations/start.html", {"query": QUERY})
