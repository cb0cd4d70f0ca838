"""The API for programs."""

from typing import Any, cast
from urllib.parse import urlencode
from uuid import UUID

from django.core.validators import RegexValidator
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.permissions import AllowAny, IsAuthenticatedOrReadOnly
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from polls import accounts, services
from polls.fields import LINE, Boolean, Integer, Line, Moment, Options, StrictSerializer
from polls.models import MOST_OPTIONS, User

MOST_ROWS = 100
USERNAME = RegexValidator(r"^[a-z0-9_-]{3,30}\Z", "3 to 30 of a-z, 0-9, _ and -.", "form")


class CredentialsSerializer(StrictSerializer):
    """A name and a password."""

    username = Line(max_length=30)
    password = Line(max_length=200, trim_whitespace=False)


class NewUserSerializer(CredentialsSerializer):
    """An account to be."""

    username = Line(max_length=30, validators=[USERNAME])
    password = Line(max_length=200, min_length=10, trim_whitespace=False)


class UserSerializer(serializers.Serializer[Any]):
    """An account."""

    username = serializers.CharField()


class TokenSerializer(serializers.Serializer[Any]):
    """What a program sends as `Authorization: Bearer …`."""

    token = serializers.CharField()
    expires_at = serializers.DateTimeField()


class PollChangesSerializer(StrictSerializer):
    """What of a poll may change until its first vote."""

    question = Line(max_length=200)
    options = Options(child=Line(max_length=100), min_length=2, max_length=MOST_OPTIONS)
    closes_at = Moment()
    private_results = Boolean(required=False)


class NewPollSerializer(PollChangesSerializer):
    """A poll to be."""


class NewVoteSerializer(StrictSerializer):
    """A choice."""

    option = Integer(min_value=1, max_value=2**63 - 1)


class PollSerializer(serializers.Serializer[Any]):
    """A poll in a list."""

    id = serializers.UUIDField()
    owner = serializers.CharField(source="owner.username")
    question = serializers.CharField()
    private_results = serializers.BooleanField()
    created_at = serializers.DateTimeField()
    closes_at = serializers.DateTimeField()
    closed_at = serializers.DateTimeField(allow_null=True)
    is_open = serializers.BooleanField()


class OptionSerializer(serializers.Serializer[Any]):
    """An answer that can be chosen."""

    id = serializers.IntegerField()
    text = serializers.CharField()


class PollDetailSerializer(PollSerializer):
    """A poll with its options, and what the asking user chose. Counts are in its results."""

    options = OptionSerializer(many=True)
    my_vote = serializers.IntegerField(allow_null=True, help_text="The option's id")


class PageSerializer(serializers.Serializer[Any]):
    """One page of a list."""

    results = PollSerializer(many=True)
    next = serializers.CharField(
        allow_null=True, help_text="Where the next page is; null at the end"
    )


class VoteSerializer(serializers.Serializer[Any]):
    """A vote that counts."""

    poll = serializers.UUIDField(source="poll_id")
    option = serializers.IntegerField(source="option_id")
    cast_at = serializers.DateTimeField()


class CountSerializer(OptionSerializer):
    """An option and how many chose it."""

    votes = serializers.IntegerField()


class ResultsSerializer(serializers.Serializer[Any]):
    """The counts of a poll at one moment."""

    poll = serializers.UUIDField()
    final = serializers.BooleanField(help_text="Whether they can change no more")
    total = serializers.IntegerField()
    options = CountSerializer(many=True)


class QuerySerializer(StrictSerializer):
    """Parameters of the list."""

    state = serializers.ChoiceField(["open", "closed"], required=False)
    owner = serializers.CharField(required=False, max_length=30, validators=[RegexValidator(LINE)])
    before = serializers.UUIDField(required=False, help_text="Polls older than this one")
    limit = serializers.IntegerField(required=False, default=20, min_value=1, max_value=MOST_ROWS)


def body_of(serializer: type[StrictSerializer], data: Any, **options: Any) -> dict[str, Any]:
    """Return what a request holds.

    Raises:
        ValidationError: if it has faults.
    """
    read = serializer(data=data, **options)
    read.is_valid(raise_exception=True)
    validated: dict[str, Any] = read.validated_data
    return validated


def user_of(request: Request) -> User:
    """Return who asks, where only users may."""
    return cast(User, request.user)


class Register(APIView):
    """Accounts."""

    permission_classes = [AllowAny]

    @extend_schema(request=NewUserSerializer, responses={201: UserSerializer}, tags=["auth"])
    def post(self, request: Request) -> Response:
        """Create an account."""
        user = accounts.register(request, **body_of(NewUserSerializer, request.data))
        return Response(UserSerializer(user).data, status=201)


class Login(APIView):
    """Tokens."""

    permission_classes = [AllowAny]

    @extend_schema(request=CredentialsSerializer, responses=TokenSerializer, tags=["auth"])
    def post(self, request: Request) -> Response:
        """Get a token, which is shown this one time."""
        credentials = body_of(CredentialsSerializer, request.data)
        user = accounts.check_password(request, **credentials)
        token, kept = accounts.issue_token(user)
        return Response(
            TokenSerializer({"token": token, "expires_at": kept.expires_at}).data, status=200
        )


class Logout(APIView):
    """The end of a token."""

    @extend_schema(request=None, responses={204: None}, tags=["auth"])
    def post(self, request: Request) -> Response:
        """Make the token that was sent worthless, at once."""
        assert request.auth is not None  # noqa: S101 (for mypy)
        request.auth.delete()
        return Response(status=204)


class Me(APIView):
    """The user's own account."""

    @extend_schema(responses=UserSerializer, tags=["auth"])
    def get(self, request: Request) -> Response:
        """Say who asks."""
        return Response(UserSerializer(request.user).data)


class PollsView(APIView):
    """All polls."""

    permission_classes = [IsAuthenticatedOrReadOnly]

    @extend_schema(
        parameters=[QuerySerializer],
        responses=PageSerializer,
        operation_id="polls_list",
        tags=["polls"],
    )
    def get(self, request: Request) -> Response:
        """List polls, the newest first."""
        parameters = request.query_params
        if repeated := [name for name, values in parameters.lists() if len(values) > 1]:
            raise ValidationError({name: ["It comes twice."] for name in repeated})
        query = body_of(QuerySerializer, parameters.dict())
        rows, after = services.page(**query)
        address = None
        if after:
            address = f"{request.path}?{urlencode(parameters.dict() | {'before': after})}"
        return Response(PageSerializer({"results": rows, "next": address}).data)

    @extend_schema(request=NewPollSerializer, responses={201: PollDetailSerializer}, tags=["polls"])
    def post(self, request: Request) -> Response:
        """Create a poll."""
        body = body_of(NewPollSerializer, request.data)
        poll = services.create_poll(owner=user_of(request), **body)
        answer = Response(detailed(poll, request), status=201)
        answer["Location"] = f"{request.path}/{poll.pk}"
        return answer


def detailed(poll: Any, request: Request) -> dict[str, Any]:
    """Return a poll as data for the user who asks."""
    poll.my_vote = services.vote_of(poll, request.user)
    return dict(PollDetailSerializer(poll).data)


class PollView(APIView):
    """One poll."""

    permission_classes = [IsAuthenticatedOrReadOnly]

    @extend_schema(responses=PollDetailSerializer, tags=["polls"])
    def get(self, request: Request, poll_id: UUID) -> Response:
        """Read a poll."""
        return Response(detailed(services.get_poll(poll_id), request))

    @extend_schema(request=PollChangesSerializer, responses=PollDetailSerializer, tags=["polls"])
    def patch(self, request: Request, poll_id: UUID) -> Response:
        """Change a poll of one's own, before its first vote. New options replace the old ones."""
        services.owned_poll(poll_id, request.user)
        changes = body_of(PollChangesSerializer, request.data, partial=True)
        poll = services.edit_poll(poll_id=poll_id, actor=user_of(request), **changes)
        return Response(detailed(poll, request))

    @extend_schema(request=None, responses={204: None}, tags=["polls"])
    def delete(self, request: Request, poll_id: UUID) -> Response:
        """Delete a poll: its owner before the first vote, staff at any time."""
        services.delete_poll(poll_id=poll_id, actor=user_of(request))
        return Response(status=204)


class Close(APIView):
    """The early end of a poll."""

    @extend_schema(request=None, responses=PollDetailSerializer, tags=["polls"])
    def post(self, request: Request, poll_id: UUID) -> Response:
        """Close a poll of one's own."""
        poll = services.close_poll(poll_id=poll_id, actor=user_of(request))
        return Response(detailed(poll, request))


class ResultsView(APIView):
    """The counts of a poll."""

    permission_classes = [IsAuthenticatedOrReadOnly]

    @extend_schema(responses=ResultsSerializer, tags=["polls"])
    def get(self, request: Request, poll_id: UUID) -> Response:
        """Read the results. While a poll with private results is open, only its owner may."""
        return Response(ResultsSerializer(services.results_for(poll_id, request.user)).data)


class Votes(APIView):
    """The votes of a poll."""

    @extend_schema(request=NewVoteSerializer, responses={201: VoteSerializer}, tags=["polls"])
    def post(self, request: Request, poll_id: UUID) -> Response:
        """Vote. Everybody has one vote in a poll, which cannot be changed."""
        body = body_of(NewVoteSerializer, request.data)
        vote = services.cast_vote(poll_id=poll_id, voter=user_of(request), option_id=body["option"])
        return Response(VoteSerializer(vote).data, status=201)
