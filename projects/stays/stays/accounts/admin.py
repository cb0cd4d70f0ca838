"""Users and sessions in Django's admin."""

from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.db.models import QuerySet
from django.http import HttpRequest

from stays.accounts import services
from stays.accounts.models import Session, User


@admin.register(User)
class UserAdmin(DjangoUserAdmin):  # type: ignore[type-arg]
    """Users, known by their e-mail address."""

    list_display = ("email", "name", "role", "is_active", "is_staff", "date_joined")
    list_filter = ("role", "is_active", "is_staff", "is_superuser")
    search_fields = ("email", "name")
    ordering = ("email",)
    readonly_fields = ("id", "last_login", "date_joined")
    fieldsets = (
        (None, {"fields": ("id", "email", "password", "name", "role")}),
        (
            "Permissions",
            {"fields": ("is_active", "is_staff", "is_superuser", "groups", "user_permissions")},
        ),
        ("Dates", {"fields": ("last_login", "date_joined")}),
    )
    add_fieldsets = (
        (
            None,
            {
                "classes": ("wide",),
                "fields": ("email", "name", "usable_password", "password1", "password2"),
            },
        ),
    )


@admin.register(Session)
class SessionAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Sessions: to look at, and to end."""

    list_display = ("user", "created_at", "rotated_at", "expires_at", "revoked_at")
    list_select_related = ("user",)
    list_filter = ("created_at", "revoked_at")
    search_fields = ("user__email", "user__name")
    ordering = ("-created_at",)
    actions = ("revoke",)
    fields = readonly_fields = (
        "id",
        "user",
        "created_at",
        "rotated_at",
        "expires_at",
        "revoked_at",
    )

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002
        """Only a log-in makes a session."""
        return False

    @admin.action(description="End the selected sessions", permissions=["change"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[Session]) -> None:
        """End sessions."""
        ended = services.revoke_sessions(ids=list(queryset.values_list("id", flat=True)))
        self.message_user(request, f"{ended} sessions ended.", messages.SUCCESS)
