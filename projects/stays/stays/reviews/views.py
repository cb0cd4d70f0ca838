"""Reviews over REST."""

import uuid

from drf_spectacular.utils import extend_schema
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from stays.accounts.authentication import signed_in
from stays.rest.bodies import body_of
from stays.rest.idempotency import idempotent
from stays.rest.pagination import list_schema, respond
from stays.reviews import selectors, services
from stays.reviews.serializers import NewReviewSerializer, ReviewSerializer


class BookingReview(APIView):
    """The review of a stay."""

    @extend_schema(
        operation_id="bookings_review",
        request=NewReviewSerializer,
        responses={201: ReviewSerializer},
    )
    @idempotent
    def post(self, request: Request, booking_id: uuid.UUID) -> Response:
        """Review a stay.

        The guest, once, from the day of departure on.
        """
        body = body_of(NewReviewSerializer, request.data)
        review = services.write_review(actor=signed_in(request), booking_id=booking_id, **body)
        return Response(ReviewSerializer(review).data, status=201)


class PropertyReviews(APIView):
    """What guests say of a place."""

    permission_classes = (AllowAny,)

    @list_schema(ReviewSerializer, "properties_reviews")
    def get(self, request: Request, slug: str) -> Response:
        """List the reviews of a place.

        The newest first.
        """
        reviews = selectors.of_property(slug=slug)
        return respond(request, reviews, ordering=["-id"], serializer=ReviewSerializer)
