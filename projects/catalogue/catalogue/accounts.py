"""Registering, logging in and out: views, and the counting of attempts."""

import hashlib
import ipaddress
from typing import Any, cast

from django.conf import settings
from django.contrib.auth import authenticate
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError as DjangoValidationError
from django.db import connection
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.generics import CreateAPIView, RetrieveAPIView
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import BaseThrottle
from rest_framework.views import APIView
from rest_framework_simplejwt.exceptions import TokenError
from rest_framework_simplejwt.tokens import RefreshToken
from rest_framework_simplejwt.utils import get_md5_hash_password

from catalogue.fields import StrictModelSerializer, StrictSerializer, Text, given
from catalogue.models import User
from catalogue.problems import Refusal

COUNT = """
INSERT INTO catalogue_attempt AS attempt (key, started, count) VALUES (%(key)s, now(), 1)
ON CONFLICT (key) DO UPDATE SET
    started = CASE WHEN attempt.started <= now() - %(window)s::interval
                   THEN now() ELSE attempt.started END,
    count = CASE WHEN attempt.started <= now() - %(window)s::interval
                 THEN 1 ELSE attempt.count + 1 END
RETURNING count, ceil(extract(epoch FROM started + %(window)s::interval - now()))::int
"""


class CredentialsSerializer(StrictSerializer):
    """What proves who somebody is."""

    email = Text(max_length=254)
    password = Text(max_length=128, trim_whitespace=False)


class UserSerializer(StrictModelSerializer):
    """An account, as its owner sees it. The role is not for the client to say."""

    email = serializers.EmailField(max_length=254)
    password = Text(max_length=128, trim_whitespace=False, write_only=True)

    class Meta:
        model = User
        fields = ("id", "email", "name", "role", "password")
        read_only_fields = ("role",)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Look at the password, with the rest of the account in view."""
        try:
            validate_password(attrs["password"], User(email=attrs["email"], name=attrs["name"]))
        except DjangoValidationError as error:
            raise serializers.ValidationError({"password": error.messages}, code="weak") from error
        return attrs

    def create(self, validated_data: dict[str, Any]) -> User:
        """Store the account."""
        return User.objects.create_user(**validated_data)


class RefreshSerializer(StrictSerializer):
    """A refresh token."""

    refresh = Text(max_length=2000)


class TokensSerializer(serializers.Serializer[Any]):
    """An access token for five minutes, and the refresh token that brings the next."""

    access = serializers.CharField()
    refresh = serializers.CharField()


def count_attempt(key: str, most: int) -> None:
    """Count one more attempt, before anything is looked at.

    PostgreSQL counts in one statement, so that a limit holds for all processes together.

    Raises:
        Refusal: If it is one too many in this window.
    """
    hashed = hashlib.sha256(key.encode()).hexdigest()
    with connection.cursor() as cursor:
        window = f"{settings.ATTEMPTS_WINDOW.total_seconds()} seconds"
        cursor.execute(COUNT, {"key": hashed, "window": window})
        count, seconds = cursor.fetchone()
    if count > most:
        raise Refusal(429, "throttled", "Too many attempts.", wait=max(1, seconds))


def client_address(request: Request) -> str:
    """Return what to count a client's attempts by.

    Anybody can write X-Forwarded-For. DRF believes as many of its entries, from its end, as there
    are proxies of our own (NUM_PROXIES). Of IPv6, the network counts, because a client has at
    least 64 bits.
    """
    try:
        said = BaseThrottle().get_ident(request) or request.META.get("REMOTE_ADDR", "")
        address = ipaddress.ip_address(said)
    except ValueError:
        return "unknown"
    if address.version == 6:
        return str(ipaddress.ip_network((int(address), 64), strict=False))
    return str(address)


class PublicView(APIView):
    """A view for everybody. A token that came along is not looked at."""

    authentication_classes = ()
    permission_classes = (AllowAny,)


class RegisterView(PublicView, CreateAPIView[User]):
    """Make an account."""

    serializer_class = UserSerializer

    def post(self, request: Request, *args: Any, **options: Any) -> Response:
        """Register as a customer."""
        count_attempt(f"register {client_address(request)}", settings.ATTEMPTS_ADDRESS)
        return super().post(request, *args, **options)


def tokens_for(user: User) -> Response:
    """Answer with new tokens."""
    refresh = RefreshToken.for_user(user)
    return Response({"access": str(refresh.access_token), "refresh": str(refresh)})


class LoginView(PublicView):
    """Log in."""

    @extend_schema(request=CredentialsSerializer, responses={200: TokensSerializer})
    def post(self, request: Request) -> Response:
        """Log in with e-mail and password.

        An unknown account takes as long as a wrong password, and is answered the same.
        """
        asked = given(CredentialsSerializer, request.data)
        email = asked["email"].lower()
        count_attempt(f"address {client_address(request)}", settings.ATTEMPTS_ADDRESS)
        count_attempt(f"account {email}", settings.ATTEMPTS_ACCOUNT)
        user = authenticate(username=email, password=asked["password"])
        if user is None:
            raise Refusal(401, "wrong_credentials", "The e-mail or the password is wrong.")
        return tokens_for(user)


def use_up(text: str) -> User:
    """Use a refresh token, which works once, and return whose it is.

    simplejwt's own view lets several of many simultaneous requests pass, because it looks first and
    notes afterwards. Here the unique row in the table of used tokens decides: one request makes it.

    Raises:
        Refusal: If the token is not valid, or was used, or its user is gone.
    """
    invalid = Refusal(401, "token_not_valid", "The refresh token is not valid, or was used.")
    try:
        token: Any = RefreshToken(text)  # type: ignore[arg-type]
        _, first = token.blacklist()
    except TokenError as error:
        raise invalid from error
    user = User.objects.filter(pk=token.payload["user_id"], is_active=True).first()
    if not first or user is None:
        raise invalid
    # CHECK_REVOKE_TOKEN: a token ends with the password that it was given for.
    if token.payload.get("hash_password") != get_md5_hash_password(user.password):
        raise invalid
    return user


class RefreshView(PublicView):
    """Go on for another five minutes."""

    @extend_schema(request=RefreshSerializer, responses={200: TokensSerializer})
    def post(self, request: Request) -> Response:
        """Exchange a refresh token for an access token and a new refresh token."""
        return tokens_for(use_up(given(RefreshSerializer, request.data)["refresh"]))


class LogoutView(PublicView):
    """Log out."""

    @extend_schema(request=RefreshSerializer, responses={204: None})
    def post(self, request: Request) -> Response:
        """End a refresh token. The access token ends by itself, within five minutes."""
        use_up(given(RefreshSerializer, request.data)["refresh"])
        return Response(status=204)


class MeView(RetrieveAPIView[User]):
    """Who am I?"""

    serializer_class = UserSerializer

    def get_object(self) -> User:
        """Return the account that the token is for."""
        return cast("User", self.request.user)
