"""The JSON of accounts."""

from typing import Any

from rest_framework import serializers

from stays.accounts.models import Session, User
from stays.rest.fields import Email, Line, OutputSerializer, StrictSerializer, Text

MAX_EMAIL = 254
MAX_PASSWORD = 128


def new_password() -> Text:
    """Return the field for a password that somebody chooses."""
    return Text(
        min_length=8,
        max_length=MAX_PASSWORD,
        trim_whitespace=False,
        help_text="Not only digits, no common password, and not like the address or the name.",
    )


class RegistrationSerializer(StrictSerializer):
    """What a new account needs."""

    email = Email(max_length=MAX_EMAIL)
    name = Line(max_length=100)
    password = new_password()


class CredentialsSerializer(StrictSerializer):
    """What a log-in needs."""

    email = Text(max_length=MAX_EMAIL)
    password = Text(max_length=MAX_PASSWORD, trim_whitespace=False)


class RefreshSerializer(StrictSerializer):
    """A refresh token."""

    refresh = Text(max_length=2000)


class TokensSerializer(serializers.Serializer[Any]):
    """What a client needs to be known from now on."""

    access = serializers.CharField(help_text="For the header `Authorization: Bearer …`")
    refresh = serializers.CharField(help_text="Good once, for new tokens")
    expires_in = serializers.IntegerField(help_text="Seconds until the access token expires")


class UserSerializer(OutputSerializer[User]):
    """Users as they see themselves."""

    class Meta:
        model = User
        fields = ("id", "email", "email_verified", "name", "role", "date_joined")


class SessionSerializer(OutputSerializer[Session]):
    """Users' own log-ins."""

    current = serializers.SerializerMethodField(help_text="Whether this request belongs to it")

    class Meta:
        model = Session
        fields = ("id", "client", "created_at", "rotated_at", "expires_at", "current")

    def get_current(self, session: Session) -> bool:
        """Tell whether it is the session of the request's token."""
        ours: Session | None = self.context["request"].auth
        return ours is not None and ours.id == session.id


class ProfileSerializer(StrictSerializer):
    """What users change of themselves."""

    name = Line(max_length=100)


class NewPasswordSerializer(StrictSerializer):
    """What a new password needs."""

    password = Text(max_length=MAX_PASSWORD, trim_whitespace=False)
    new_password = new_password()


class ResetRequestSerializer(StrictSerializer):
    """Whose password is to be set anew."""

    email = Text(max_length=MAX_EMAIL)


class ResetSerializer(StrictSerializer):
    """What a new password needs from those who have forgotten the old one."""

    token = Text(max_length=200, help_text="From the e-mail; good once")
    new_password = new_password()


class VerificationSerializer(StrictSerializer):
    """What shows that an address is one's own."""

    token = Text(max_length=1000, help_text="From the e-mail; good once")


class DeletionSerializer(StrictSerializer):
    """What the deletion of an account needs."""

    password = Text(max_length=MAX_PASSWORD, trim_whitespace=False)
