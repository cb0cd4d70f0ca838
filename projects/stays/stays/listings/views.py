"""Cities, amenities and properties over HTTP."""

from collections.abc import Callable
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
from stays.listings.models import Amenity, City, Property
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
from stays.rest.openapi import LOCATION, header, problems
from stays.rest.pagination import PageQuery, list_schema, listed, page_of, respond
from stays.rest.queries import read_query

NOT_MODIFIED = {304: OpenApiResponse(description="What If-None-Match names is still so")}
ETAG = header("ETag", "The strong validator of this representation", response=[200, 201])
IF_MATCH = header("If-Match", "The ETag of the representation that was read", required=True)
IF_MATCH_OR_NOT = header("If-Match", "As for a change, but optional")
IF_NONE_MATCH = header("If-None-Match", "The ETag of the representation that is there already")
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
    )
    def get(self, request: Request) -> HttpResponse:
        """List the cities.

        The cities, by name.
        """
        query = read_query(request, PageQuery)
        cities = City.objects.all()
        data = listed(request, cities, query, ordering=BY_NAME, serializer=CitySerializer)
        return answer(request, data)


class AmenityList(APIView):
    """The amenities."""

    permission_classes = (AllowAny,)

    @extend_schema(
        parameters=[PageQuery, ETAG, IF_NONE_MATCH],
        responses={200: page_of(AmenitySerializer)} | READ,
        operation_id="amenities_list",
    )
    def get(self, request: Request) -> HttpResponse:
        """List the amenities.

        The amenities, by name.
        """
        query = read_query(request, PageQuery)
        amenities = Amenity.objects.all()
        data = listed(request, amenities, query, ordering=BY_NAME, serializer=AmenitySerializer)
        return answer(request, data)


class PropertyList(APIView):
    """The places that are offered."""

    permission_classes = (IsAuthenticatedOrReadOnly,)

    @extend_schema(
        parameters=[SearchQuery, AMENITIES, ETAG, IF_NONE_MATCH],
        responses={200: page_of(PropertySummarySerializer)} | READ,
        operation_id="properties_list",
    )
    def get(self, request: Request) -> HttpResponse:
        """Search for places.

        Places that meet all that is asked for. Prices compare within one currency only.
        """
        query = read_query(request, SearchQuery)
        places = selectors.search(criteria=selectors.Search.of(query))
        serializer = PropertySummarySerializer
        ordering = SORTS[query["sort"]]
        data = listed(request, places, query, ordering=ordering, serializer=serializer)
        return answer(request, data)

    @extend_schema(
        parameters=[LOCATION, ETAG],
        request=NewPropertySerializer,
        responses={201: PropertySerializer},
    )
    @idempotent
    def post(self, request: Request) -> HttpResponse:
        """Offer a place.

        Hosts offer places. The slug is made of the title, and stays.
        """
        offer = body_of(NewPropertySerializer, request.data)
        place = services.create_property(actor=signed_in(request), **offer)
        location = reverse("property", kwargs={"slug": place.slug})
        return represented(request, place, status=201, Location=location)


class PropertyDetail(APIView):
    """One place."""

    permission_classes = (IsAuthenticatedOrReadOnly,)

    @extend_schema(parameters=[ETAG, IF_NONE_MATCH], responses={200: PropertySerializer} | READ)
    def get(self, request: Request, slug: str) -> HttpResponse:
        """Show a place.

        A place that is offered.
        """
        read_query(request, NothingSerializer)
        return represented(request, selectors.get(slug=slug))

    @extend_schema(
        parameters=[ETAG, IF_MATCH],
        request=PropertyChangeSerializer,
        responses={200: PropertySerializer} | problems(412, 422, 428),
    )
    def patch(self, request: Request, slug: str) -> HttpResponse:
        """Change a place.

        Its host changes a place. If-Match is required: the ETag that the host has read.
        """
        precondition = unchanged(request, required=True)
        change = body_of(PropertyChangeSerializer, request.data, partial=True)
        place = services.update_property(
            actor=signed_in(request), slug=slug, precondition=precondition, **change
        )
        return represented(request, place)

    @extend_schema(
        parameters=[IF_MATCH_OR_NOT], request=None, responses={204: None} | problems(412)
    )
    def delete(self, request: Request, slug: str) -> HttpResponse:
        """Take a place off the list.

        Its host offers a place no longer. Bookings that were made stay as they are.
        """
        precondition = unchanged(request, required=False)
        services.unlist_property(actor=signed_in(request), slug=slug, precondition=precondition)
        return HttpResponse(status=204)


class Relisting(APIView):
    """Whether a place is on the list."""

    @extend_schema(
        parameters=[ETAG], request=None, responses={200: PropertySerializer} | problems(404)
    )
    @idempotent
    def post(self, request: Request, slug: str) -> HttpResponse:
        """Put a place back on the list.

        Its host offers again a place that was taken off the list.
        """
        body_of(NothingSerializer, request.data)
        place = services.list_property_again(actor=signed_in(request), slug=slug)
        return represented(request, place)


class OwnPropertyList(APIView):
    """The places of the one who asks."""

    @list_schema(PropertySerializer, "me_properties_list")
    def get(self, request: Request) -> Response:
        """List one's own places.

        One's own places, newest first; also those that are not offered any more.
        """
        places = selectors.owned_by(user=signed_in(request))
        return respond(request, places, ordering=("-id",), serializer=PropertySerializer)


def shown(place: Property, request: Request) -> dict[str, Any]:
    """Return a place as the one who asks may see it."""
    return dict(PropertySerializer(place, context={"request": request}).data)


def unchanged(request: Request, *, required: bool) -> Callable[[Property], None]:
    """Return the check that a place still is what the one who asks has seen of it."""
    check = if_match(request, required=required)
    return lambda place: check(represent(shown(place, request), version=place.version)[1])


def represented(
    request: Request, place: Property, *, status: int = 200, **headers: str
) -> HttpResponse:
    """Return the answer that shows a place."""
    return answer(request, shown(place, request), version=place.version, status=status, **headers)
