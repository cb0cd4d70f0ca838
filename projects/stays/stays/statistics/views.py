"""Figures over REST."""

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from stays.accounts.authentication import signed_in
from stays.rest.pagination import listed, page_of
from stays.rest.queries import read_query
from stays.statistics import selectors
from stays.statistics.serializers import FiguresQuery, FiguresSerializer


class StatisticsView(APIView):
    """The daily figures."""

    @extend_schema(
        operation_id="statistics_list",
        parameters=[FiguresQuery],
        responses=page_of(FiguresSerializer),
    )
    def get(self, request: Request) -> Response:
        """List daily figures.

        For admins, the newest day first.
        """
        query = read_query(request, FiguresQuery)
        chosen = {name: query.get(name) for name in ("first_day", "last_day", "currency")}
        figures = selectors.figures(user=signed_in(request), **chosen)
        ordering = ["-day", "-id"]
        data = listed(request, figures, query, ordering=ordering, serializer=FiguresSerializer)
        return Response(data)
