"""Figures over REST."""

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from stays.accounts.models import User
from stays.rest.pagination import address_of, page_of, paginate
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
        cursor, limit = query.pop("cursor", None), query.pop("limit")
        user: User = request.user
        figures = selectors.figures(user=user, **query)
        page = paginate(figures, ordering=["-day", "-id"], cursor=cursor, limit=limit)
        rows = FiguresSerializer(page.rows, many=True).data
        address = address_of(request.path, request.query_params.dict(), page.cursor)
        return Response({"results": rows, "next": address})
