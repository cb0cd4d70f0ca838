"""Cities, amenities and properties over HTTP."""

from typing import Any

from django.http import HttpResponse
from django.urls import reverse
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.permissions import AllowAny, IsAuthenticatedOrReadOnly
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from stays.accounts.authentication import signed_in
from stays.listings import selectors, services
from stays.listings.models import Property
from stays.listings.serializers import (
    MAX_AMENITIES,
    SORTS,
    AmenitySerializer,
    CitySerializer,
    NewPropertySerializer,
    PropertyChangeSerializer,
    PropertySerializer,
    PropertySummarySerializer,
    SearchQuery,
)
from stays.rest.bodies import NothingSerializer, body_of
from stays.rest.conditional import answer, if_match, represent
from stays.rest.idempotency import idempotent
from stays.rest.openapi import TEXTS
from stays.rest.pagination import PageQuery, listed, page_of, respond
from stays.rest.problems import MEDIA_TYPE, ProblemSerializer
from stays.rest.queries import read_query


def problems(*statuses: int) -> dict[tuple[int, str], OpenApiResponse]:
    """Return the description of problems that an operation may answer with besides the usual."""
    return {
        (status, MEDIA_TYPE): OpenApiResponse(ProblemSerializer, TEXTS[str(status)])
        for status in statuses
    }


NOT_MODIFIED = {304: OpenApiResponse(description="What If-None-Match names is still so")}
ETAG = OpenApiParameter(
    "ETag",
    str,
    OpenApiParameter.HEADER,
    description="The strong validator of this representation",
    response=[200, 201],
)
IF_MATCH = OpenApiParameter(
    "If-Match",
    str,
    OpenApiParameter.HEADER,
    required=True,
    description="The ETag of the representation that was read",
)
IF_MATCH_OR_NOT = OpenApiParameter(
    "If-Match", str, OpenApiParameter.HEADER, description="As for a change, but optional"
)
IF_NONE_MATCH = OpenApiParameter(
    "If-None-Match",
    str,
    OpenApiParameter.HEADER,
    description="The ETag of the representation that is there already",
)
LOCATION = OpenApiParameter(
    "Location", str, OpenApiParameter.HEADER, description="Where it is", response=[201]
)
AMENITIES = OpenApiParameter(
    "amenities",
    {
        "type": "array",
        "items": {"type": "string", "pattern": "^[-a-zA-Z0-9_]{1,40}$"},
        "minItems": 1,
        "maxItems": MAX_AMENITIES,
    },
    style="form",
    explode=False,
    description="Slugs; all of these must be there",
)
READ: dict[Any, Any] = NOT_MODIFIED | problems(412)
BY_NAME = ("name", "id")


class CityList(APIView):
    """The cities."""

    permission_classes = (AllowAny,)

    @extend_schema(
        parameters=[PageQuery, ETAG, IF_NONE_MATCH],
        responses={200: page_of(CitySerializer)} | READ,
        operation_id="cities_list",
        summary="List the cities",
    )
    def get(self, request: Request) -> HttpResponse:
        """The cities, by name."""
        query = read_query(request, PageQuery)
        places = selectors.cities()
        data = listed(request, places, ordering=BY_NAME, serializer=CitySerializer, **query)
        return answer(request, data)


class AmenityList(APIView):
    """The amenities."""

    permission_classes = (AllowAny,)

    @extend_schema(
        parameters=[PageQuery, ETAG, IF_NONE_MATCH],
        responses={200: page_of(AmenitySerializer)} | READ,
        operation_id="amenities_list",
        summary="List the amenities",
    )
    def get(self, request: Request) -> HttpResponse:
        """The amenities, by name."""
        query = read_query(request, PageQuery)
        amenities = selectors.amenities()
        data = listed(request, amenities, ordering=BY_NAME, serializer=AmenitySerializer, **query)
        return answer(request, data)


class PropertyList(APIView):
    """The places that are offered."""

    permission_classes = (IsAuthenticatedOrReadOnly,)

    @extend_schema(
        parameters=[SearchQuery, AMENITIES, ETAG, IF_NONE_MATCH],
        responses={200: page_of(PropertySummarySerializer)} | READ,
        operation_id="properties_list",
        summary="Search for places",
    )
    def get(self, request: Request) -> HttpResponse:
        """Places that meet all that is asked for. Prices compare within one currency only."""
        query = read_query(request, SearchQuery)
        page = {name: query.pop(name) for name in ("cursor", "limit") if name in query}
        ordering = SORTS[query.pop("sort")]
        places = selectors.search(criteria=selectors.Search(**query))
        serializer = PropertySummarySerializer
        return answer(
            request, listed(request, places, ordering=ordering, serializer=serializer, **page)
        )

    @extend_schema(
        parameters=[LOCATION, ETAG],
        request=NewPropertySerializer,
        responses={201: PropertySerializer},
        summary="Offer a place",
    )
    @idempotent
    def post(self, request: Request) -> HttpResponse:
        """Hosts offer places. The slug is made of the title, and stays."""
        offer = body_of(NewPropertySerializer, request.data)
        place = services.create_property(actor=signed_in(request), **offer)
        location = reverse("property", kwargs={"slug": place.slug})
        return represented(request, place, status=201, Location=location)


class PropertyDetail(APIView):
    """One place."""

    permission_classes = (IsAuthenticatedOrReadOnly,)

    @extend_schema(
        parameters=[ETAG, IF_NONE_MATCH],
        responses={200: PropertySerializer} | READ,
        summary="Show a place",
    )
    def get(self, request: Request, slug: str) -> HttpResponse:
        """A place that is offered."""
        read_query(request, NothingSerializer)
        return represented(request, selectors.get(slug=slug))

    @extend_schema(
        parameters=[ETAG, IF_MATCH],
        request=PropertyChangeSerializer,
        responses={200: PropertySerializer} | problems(412, 422, 428),
        summary="Change a place",
    )
    def patch(self, request: Request, slug: str) -> HttpResponse:
        """Its host changes a place. If-Match is required: the ETag that the host has read."""
        check = if_match(request, required=True)
        change = body_of(PropertyChangeSerializer, request.data, partial=True)
        place = services.update_property(
            actor=signed_in(request),
            slug=slug,
            precondition=lambda place: check(etag_of(place, request)),
            **change,
        )
        return represented(request, place)

    @extend_schema(
        parameters=[IF_MATCH_OR_NOT],
        responses={204: None} | problems(412),
        summary="Take a place off the list",
    )
    def delete(self, request: Request, slug: str) -> HttpResponse:
        """Its host offers a place no longer. Bookings that were made stay as they are."""
        check = if_match(request, required=False)
        services.unlist_property(
            actor=signed_in(request),
            slug=slug,
            precondition=lambda place: check(etag_of(place, request)),
        )
        return HttpResponse(status=204)


class PropertyListing(APIView):
    """Whether a place is on the list."""

    @extend_schema(
        parameters=[ETAG],
        request=None,
        responses={200: PropertySerializer} | problems(404),
        summary="Put a place back on the list",
    )
    @idempotent
    def post(self, request: Request, slug: str) -> HttpResponse:
        """Its host offers again a place that was taken off the list."""
        body_of(NothingSerializer, request.data)
        place = services.list_property_again(actor=signed_in(request), slug=slug)
        return represented(request, place)


class OwnPropertyList(APIView):
    """The places of the one who asks."""

    @extend_schema(
        parameters=[PageQuery],
        responses=page_of(PropertySerializer),
        operation_id="me_properties_list",
        summary="List one's own places",
    )
    def get(self, request: Request) -> Response:
        """One's own places, newest first; also those that are not offered any more."""
        places = selectors.owned_by(user=signed_in(request))
        return respond(request, places, ordering=("-id",), serializer=PropertySerializer)


def shown(place: Property, request: Request) -> dict[str, Any]:
    """Return a place as the one who asks may see it."""
    return dict(PropertySerializer(place, context={"request": request}).data)


def etag_of(place: Property, request: Request) -> str:
    """Return the validator of what the one who asks sees of a place."""
    return represent(shown(place, request), version=place.version)[1]


def represented(
    request: Request, place: Property, *, status: int = 200, **headers: str
) -> HttpResponse:
    """Return the answer that shows a place."""
    return answer(request, shown(place, request), version=place.version, status=status, **headers)
