"""Which places are there? One REST endpoint with a strict query, pages by cursor, and ETags.

    GET   /places?city=lisbon&sort=price    a page; `next` leads to the following one
    POST  /places                           201, Location, ETag
    GET   /places/7                         ETag; If-None-Match gives 304
    PATCH /places/7                         needs If-Match: 428 without, 412 if it is out of date

Needs Django 5.2 and Django REST framework 3.16, or newer; REST_FRAMEWORK = {"EXCEPTION_HANDLER":
"places.problems.handler"}, and `places` in INSTALLED_APPS.

Watch out:
* Everybody may do everything here. Set permission_classes.
* A proxy that compresses answers makes each ETag weak: nginx with gzip turns "1" into W/"1", and
  so do many CDNs. If-None-Match still works, because its comparison is weak (RFC 9110, 13.1.2).
  If-Match needs a strong ETag (13.1.1), so every PATCH gets a 412 with the code `weak_etag`. Turn
  compression off for the API.
* DRF's cursor tells rows apart by the first field of an ordering, and up to 1,000 equal rows by an
  offset. Order by a field that is nearly unique, and have an index for each sort.
* A repeated POST makes a second place. If that matters, accept an Idempotency-Key.
* The addresses here have no slash at the end. If yours end with a slash, Django redirects a POST
  without the slash, and it arrives as a GET without its body. Set APPEND_SLASH = False for an API.
* A field that you add to the model is not shown until you name it. Keep it so.
"""

from typing import Any

from django.db import transaction
from django.db.models import F, QuerySet
from django.shortcuts import get_object_or_404
from django.urls import path, reverse
from django.utils.http import parse_etags
from rest_framework import generics, pagination, serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from places.models import Place
from places.problems import PreconditionFailed, PreconditionRequired, WeakETag

SORTS = {"newest": ["-id"], "price": ["nightly_minor", "id"]}


class StrictSerializer(serializers.Serializer):  # type: ignore[type-arg]
    """Refuses names that it does not know: most of them are typing errors."""

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuses unknown names."""
        if unknown := sorted(self.initial_data.keys() - self.fields.keys()):
            message = serializers.ErrorDetail("There is no such field.", "unknown")
            raise serializers.ValidationError({name: [message] for name in unknown})
        return attrs


class PlaceSerializer(StrictSerializer, serializers.ModelSerializer):  # type: ignore[type-arg]
    """A place."""

    nightly_minor = serializers.IntegerField(min_value=1, max_value=100_000_000)

    class Meta:
        """The fields that are shown and may be sent."""

        model = Place
        fields = ("id", "title", "city", "nightly_minor")


class Query(StrictSerializer):
    """The parameters of a list."""

    city = serializers.SlugField(max_length=80, required=False)
    sort = serializers.ChoiceField(list(SORTS), default="newest")
    cursor = serializers.CharField(max_length=500, required=False)


class Pages(pagination.CursorPagination):
    """Pages that begin after a row, in the order that the query names."""

    page_size = 20

    def get_ordering(self, request: Request, queryset: Any, view: Any) -> list[str]:  # noqa: ANN401, ARG002
        """Returns the order of a sort."""
        return SORTS[view.query["sort"]]


def etag(place: Place) -> str:
    """Returns the ETag of a place as it is now."""
    return f'"{place.version}"'


def shown(place: Place, status: int = 200, **headers: str) -> Response:
    """Answers with a place."""
    return Response(PlaceSerializer(place).data, status, headers={"ETag": etag(place), **headers})


class Places(generics.GenericAPIView):  # type: ignore[type-arg]
    """The list."""

    serializer_class = PlaceSerializer
    pagination_class = Pages

    def get_queryset(self) -> QuerySet[Place]:
        """Returns the places that match; add select_related for relations that you show."""
        query = Query(data=self.request.query_params.dict())
        query.is_valid(raise_exception=True)
        self.query = query.validated_data
        places = Place.objects.all()
        return places.filter(city=self.query["city"]) if "city" in self.query else places

    def get(self, request: Request) -> Response:  # noqa: ARG002
        """A page."""
        page = self.paginate_queryset(self.get_queryset())
        return self.get_paginated_response(PlaceSerializer(page, many=True).data)

    def post(self, request: Request) -> Response:
        """A new place."""
        new = PlaceSerializer(data=request.data)
        new.is_valid(raise_exception=True)
        place = new.save()
        return shown(place, 201, Location=reverse("place", args=[place.pk]))


class OnePlace(APIView):
    """One place."""

    def get(self, request: Request, pk: int) -> Response:
        """The place, unless the client has this version already."""
        place = get_object_or_404(Place, pk=pk)
        seen = [
            tag.removeprefix("W/") for tag in parse_etags(request.headers.get("If-None-Match", ""))
        ]
        if seen == ["*"] or etag(place) in seen:
            return Response(status=304, headers={"ETag": etag(place)})
        return shown(place)

    def patch(self, request: Request, pk: int) -> Response:
        """Changes the place, if nobody has changed it since the client read it."""
        if "If-Match" not in request.headers:
            raise PreconditionRequired
        wanted = parse_etags(request.headers["If-Match"])
        with transaction.atomic():
            place = get_object_or_404(Place.objects.select_for_update(), pk=pk)  # compare locked
            if wanted != ["*"] and etag(place) not in wanted:
                raise (
                    WeakETag if any(tag.startswith("W/") for tag in wanted) else PreconditionFailed
                )
            change = PlaceSerializer(place, data=request.data, partial=True)
            change.is_valid(raise_exception=True)
            change.save(version=F("version") + 1)
            place.refresh_from_db()
        return shown(place)


urlpatterns = [
    path("places", Places.as_view(), name="places"),
    path("places/<int:pk>", OnePlace.as_view(), name="place"),
]
handler404 = "places.problems.not_found"
handler500 = "places.problems.server_error"
