"""Registration, tokens, and one's own account, by HTTP."""

import uuid
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from stays.accounts import selectors, services
from stays.accounts.authentication import signed_in
from stays.accounts.serializers import (
    CredentialsSerializer,
    DeletionSerializer,
    NewPasswordSerializer,
    ProfileSerializer,
    RefreshSerializer,
    RegistrationSerializer,
    ResetRequestSerializer,
    ResetSerializer,
    SessionSerializer,
    TokensSerializer,
    UserSerializer,
    VerificationSerializer,
)
from stays.rest.bodies import body_of
from stays.rest.idempotency import idempotent
from stays.rest.openapi import problems
from stays.rest.pagination import list_schema, respond
from stays.rest.throttling import client_address

UNAUTHENTICATED: dict[Any, Any] = problems(401)


class PublicView(APIView):
    """A view that looks at no token: an expired one must not stand in the way of a new one."""

    authentication_classes = ()
    permission_classes = (AllowAny,)


class RegisterView(PublicView):
    """New accounts."""

    throttle_scope = "register"

    @extend_schema(
        operation_id="register", request=RegistrationSerializer, responses={201: UserSerializer}
    )
    @idempotent
    def post(self, request: Request) -> Response:
        """Make an account."""
        user = services.register(**body_of(RegistrationSerializer, request.data))
        return Response(UserSerializer(user).data, status=201)


class LoginView(PublicView):
    """New sessions."""

    @extend_schema(
        operation_id="log_in",
        request=CredentialsSerializer,
        responses={200: TokensSerializer} | UNAUTHENTICATED,
    )
    def post(self, request: Request) -> Response:
        """Begin a session."""
        credentials = body_of(CredentialsSerializer, request.data)
        tokens = services.log_in(
            **credentials,
            address=client_address(request),
            client=request.headers.get("User-Agent", ""),
        )
        return Response(TokensSerializer(tokens).data)


class RefreshView(PublicView):
    """The rotation of tokens."""

    @extend_schema(
        operation_id="refresh",
        request=RefreshSerializer,
        responses={200: TokensSerializer} | UNAUTHENTICATED,
    )
    def post(self, request: Request) -> Response:
        """Exchange a refresh token for new tokens. It is good once."""
        tokens = services.rotate(**body_of(RefreshSerializer, request.data))
        return Response(TokensSerializer(tokens).data)


class LogoutView(PublicView):
    """The end of sessions."""

    @extend_schema(
        operation_id="log_out", request=RefreshSerializer, responses={204: None} | UNAUTHENTICATED
    )
    def post(self, request: Request) -> Response:
        """End the session of a refresh token, and with it all of its tokens."""
        services.log_out(**body_of(RefreshSerializer, request.data))
        return Response(status=204)


class ResetRequestView(PublicView):
    """The e-mail for those who have forgotten their password."""

    throttle_scope = "reset"

    @extend_schema(
        operation_id="request_password_reset", request=ResetRequestSerializer, responses={202: None}
    )
    def post(self, request: Request) -> Response:
        """Send a token to an address, if there is an account. The answer is always the same."""
        services.request_password_reset(**body_of(ResetRequestSerializer, request.data))
        return Response(status=202)


class ResetView(PublicView):
    """A new password for those who have forgotten theirs."""

    throttle_scope = "reset"

    @extend_schema(operation_id="reset_password", request=ResetSerializer, responses={204: None})
    def post(self, request: Request) -> Response:
        """Set a new password by the token of the e-mail. All of the user's sessions end."""
        services.reset_password(**body_of(ResetSerializer, request.data))
        return Response(status=204)


class VerificationView(PublicView):
    """Addresses that users have shown to be their own."""

    throttle_scope = "reset"

    @extend_schema(
        operation_id="verify_email", request=VerificationSerializer, responses={204: None}
    )
    def post(self, request: Request) -> Response:
        """Verify an account's address by the token of the e-mail."""
        services.verify_email(**body_of(VerificationSerializer, request.data))
        return Response(status=204)


class VerificationRequestView(APIView):
    """Another e-mail for those who have lost the first."""

    throttle_scope = "reset"

    @extend_schema(operation_id="request_verification", request=None, responses={202: None})
    def post(self, request: Request) -> Response:
        """Send a token to the user's address again, if it is not verified."""
        services.request_verification(actor=signed_in(request))
        return Response(status=202)


class SessionList(APIView):
    """One's own sessions."""

    @list_schema(SessionSerializer, "sessions_list")
    def get(self, request: Request) -> Response:
        """List those that have not ended, the newest first."""
        sessions = selectors.sessions_of(user=signed_in(request))
        return respond(request, sessions, ordering=["-id"], serializer=SessionSerializer)


class SessionDetail(APIView):
    """One of one's own sessions."""

    @extend_schema(operation_id="end_session", request=None, responses={204: None})
    def delete(self, request: Request, session_id: uuid.UUID) -> Response:
        """End it: none of its tokens is good any more."""
        services.end_session(actor=signed_in(request), session_id=session_id)
        return Response(status=204)


class MeView(APIView):
    """One's own account."""

    @extend_schema(operation_id="get_me", responses=UserSerializer)
    def get(self, request: Request) -> Response:
        """Return it."""
        return Response(UserSerializer(signed_in(request)).data)

    @extend_schema(operation_id="change_me", request=ProfileSerializer, responses=UserSerializer)
    def patch(self, request: Request) -> Response:
        """Change it."""
        changes = body_of(ProfileSerializer, request.data, partial=True)
        user = services.update_profile(actor=signed_in(request), **changes)
        return Response(UserSerializer(user).data)

    @extend_schema(operation_id="delete_me", request=DeletionSerializer, responses={204: None})
    def delete(self, request: Request) -> Response:
        """Delete it. If there are bookings, places or messages, it is made anonymous instead."""
        services.delete_account(
            actor=signed_in(request),
            **body_of(DeletionSerializer, request.data),
            address=client_address(request),
        )
        return Response(status=204)


class PasswordView(APIView):
    """One's own password."""

    @extend_schema(
        operation_id="change_password", request=NewPasswordSerializer, responses={204: None}
    )
    def post(self, request: Request) -> Response:
        """Change it. All sessions end, also this one."""
        services.change_password(
            actor=signed_in(request),
            **body_of(NewPasswordSerializer, request.data),
            address=client_address(request),
        )
        return Response(status=204)


class HostingView(APIView):
    """Becoming a host."""

    @extend_schema(operation_id="become_host", request=None, responses=UserSerializer)
    @idempotent
    def post(self, request: Request) -> Response:
        """Let the user offer places from now on. For a host nothing changes."""
        return Response(UserSerializer(services.become_host(actor=signed_in(request))).data)
