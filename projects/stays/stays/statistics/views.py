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
        summary="List daily figures",
        parameters=[FiguresQuery],
        responses=page_of(FiguresSerializer),
    )
    def get(self, request: Request) -> Response:
        """For admins, the newest day first."""
        query = read_query(request, FiguresQuery)
        page = {name: query.pop(name) for name in ("cursor", "limit") if name in query}
        figures = selectors.figures(user=signed_in(request), **query)
        return Response(
            listed(request, figures, ordering=["-day", "-id"], serializer=FiguresSerializer, **page)
        )
