"""Users, and the sessions that their refresh tokens belong to."""

from typing import Any, ClassVar

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager, PermissionsMixin
from django.db import models, transaction
from django.db.models.functions import Lower
from django.utils import timezone

from stays.common.fields import identifier

DELETED = "@deleted.invalid"
"""What the address of an account ends with whose owner has deleted it. No server has this name."""


class Role(models.TextChoices):
    """What a user may do. A host may do all that a guest may."""

    GUEST = "guest"
    HOST = "host"
    ADMIN = "admin"


class UserManager(BaseUserManager["User"]):
    """Makes users; `createsuperuser` uses it too."""

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> "User":
        """Make a user. The address is kept in lower case."""
        user = self.model(email=self.model.normalize_username(email), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> "User":
        """Make a user who may do everything, also in Django's admin."""
        rights = {"role": Role.ADMIN, "is_staff": True, "is_superuser": True}
        return self.create_user(email, password, **fields, **rights)


class User(AbstractBaseUser, PermissionsMixin):
    """Somebody with an account, known by an e-mail address."""

    id = identifier()
    email = models.EmailField(unique=True)
    verified_email = models.EmailField(blank=True, default="", db_default="", editable=False)
    name = models.CharField(max_length=100)
    role = models.CharField(max_length=5, choices=Role, default=Role.GUEST)
    is_active = models.BooleanField(default=True)
    is_staff = models.BooleanField(default=False)
    date_joined = models.DateTimeField(default=timezone.now)

    objects = UserManager()

    _unusable_password = False

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = ["name"]

    class Meta:
        constraints = (
            models.CheckConstraint(
                condition=models.Q(email=Lower("email")), name="user_email_lowercase"
            ),
            models.CheckConstraint(
                condition=models.Q(role__in=Role.values), name="user_role_known"
            ),
        )

    def __str__(self) -> str:
        return self.email

    def set_unusable_password(self) -> None:
        """Let nobody log in by a password."""
        super().set_unusable_password()
        self._unusable_password = True

    def save(self, *args: Any, **options: Any) -> None:
        """Save; a new password ends all sessions, wherever it was set."""
        # Django's `set_password` notes it so. When it only hashes the same one anew, it does not.
        new_password = not self._state.adding and (
            getattr(self, "_password", None) is not None or self._unusable_password
        )
        self._unusable_password = False
        with transaction.atomic():
            super().save(*args, **options)
            if new_password:
                self.sessions.filter(revoked_at=None).update(revoked_at=timezone.now())

    @classmethod
    def normalize_username(cls, username: str) -> str:
        """Return an e-mail address as it is kept: in lower case. Model.clean calls this too."""
        return super().normalize_username(username).lower()

    @property
    def email_verified(self) -> bool:
        """Whether the user has shown to read the mails of the address, as the address is now."""
        return self.verified_email == self.email

    @property
    def is_host(self) -> bool:
        """Whether the user may offer places."""
        return self.role in (Role.HOST, Role.ADMIN)

    @property
    def is_admin(self) -> bool:
        """Whether the user may see and do everything."""
        return self.role == Role.ADMIN


class Session(models.Model):
    """A log-in. It knows the one refresh token that is good now, by its `jti`."""

    id = identifier()
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="sessions")
    client = models.CharField(max_length=200, blank=True, default="", db_default="")
    refresh_jti = models.CharField(max_length=32)
    rotated_at = models.DateTimeField(default=timezone.now)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.user_id} since {self.created_at:%Y-%m-%d %H:%M}"
