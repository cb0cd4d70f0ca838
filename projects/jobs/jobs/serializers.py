"""What the API takes and gives. Input and output are apart, so nothing is writable by accident."""

from typing import Any, ClassVar

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError as DjangoValidationError
from rest_framework import serializers

from jobs import states
from jobs.fields import Email, Line, StrictSerializer, Text, Truth, Whole
from jobs.models import Application, Category, Change, Employer, Job, JobType, Resume, User
from jobs.pagination import PageQuery
from jobs.states import TARGETS, Role, Status

MOST_EUROS = 10_000_000


# -- Accounts


class UserSerializer(serializers.ModelSerializer[User]):
    """An account."""

    class Meta:
        model = User
        fields = ("id", "email", "name", "role", "employer", "is_active", "created_at")


class AccountInput(StrictSerializer):
    """A new applicant."""

    email = Email(max_length=254)
    name = Line(max_length=120)
    password = Text(max_length=128, min_length=8, trim_whitespace=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse a password that is easy to guess."""
        user = User(email=attrs["email"], name=attrs["name"])
        try:
            validate_password(attrs["password"], user)
        except DjangoValidationError as error:
            raise serializers.ValidationError({"password": error.messages}) from None
        return attrs


class UserInput(AccountInput):
    """A new account of any role, made by an admin."""

    role = serializers.ChoiceField(Role.choices)
    employer = Whole(required=False, min_value=1, help_text="For employers, and only for them")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Have an employer named exactly for that role."""
        if (attrs["role"] == Role.EMPLOYER) != ("employer" in attrs):
            raise serializers.ValidationError({"employer": "An employer's account has one."})
        if "employer" in attrs and not Employer.objects.filter(pk=attrs["employer"]).exists():
            raise serializers.ValidationError({"employer": "There is no such employer."})
        return super().validate(attrs)


class UserChange(StrictSerializer):
    """What an admin can change."""

    is_active = Truth()


class Credentials(StrictSerializer):
    """What one logs in with."""

    email = Email(max_length=254)
    password = Text(max_length=128, trim_whitespace=False)


class RefreshInput(StrictSerializer):
    """A refresh token."""

    refresh = Line(max_length=2000)


class TokensSerializer(serializers.Serializer[Any]):
    """A pair of tokens."""

    access = serializers.CharField(help_text="Send it as `Authorization: Bearer …`; ten minutes")
    refresh = serializers.CharField(help_text="Good once, for fourteen days")


# -- Employers and categories


class EmployerSerializer(serializers.ModelSerializer[Employer]):
    """An employer, for everybody. Its e-mail address is not for everybody."""

    class Meta:
        model = Employer
        fields = ("id", "name", "description")


class EmployerInput(StrictSerializer):
    """A new employer."""

    name = Line(max_length=120)
    email = Email(max_length=254)
    description = Text(max_length=2000, required=False, allow_blank=True)


class CategorySerializer(serializers.ModelSerializer[Category]):
    """A category."""

    class Meta:
        model = Category
        fields = ("slug", "name")


class CategoryChange(StrictSerializer):
    """A category's new name."""

    name = Line(max_length=60)


class CategoryInput(CategoryChange):
    """A new category."""

    slug = serializers.RegexField(r"\A[a-z0-9]+(-[a-z0-9]+)*\Z", max_length=40)


class CategoriesSerializer(serializers.Serializer[Any]):
    """All categories. They are few."""

    results = CategorySerializer(many=True)


# -- Jobs


class JobSerializer(serializers.ModelSerializer[Job]):
    """A job in a list."""

    employer = EmployerSerializer()
    category = serializers.SlugRelatedField[Category](slug_field="slug", read_only=True)

    class Meta:
        model = Job
        fields: ClassVar[Any] = (
            *("id", "title", "employer", "category", "place", "type"),
            *("salary_min", "salary_max", "published_at", "closed_at"),
        )


class JobDetailSerializer(JobSerializer):
    """A job with its whole text."""

    class Meta(JobSerializer.Meta):
        fields: ClassVar[Any] = (*JobSerializer.Meta.fields, "description")


class JobInput(StrictSerializer):
    """A job, from its employer. Whose it is stands in the address, not in the body."""

    title = Line(max_length=120)
    description = Text(max_length=10_000)
    category = serializers.SlugRelatedField[Category](
        slug_field="slug", queryset=Category.objects.all()
    )
    place = Line(max_length=80)
    type = serializers.ChoiceField(JobType.choices)
    salary_min = Whole(min_value=0, max_value=MOST_EUROS, help_text="Euros a year")
    salary_max = Whole(min_value=0, max_value=MOST_EUROS, help_text="Euros a year")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Have the salary in order, also if only one end of it changes."""
        low = attrs.get("salary_min", getattr(self.instance, "salary_min", 0))
        high = attrs.get("salary_max", getattr(self.instance, "salary_max", MOST_EUROS))
        if low > high:
            raise serializers.ValidationError({"salary_min": "It is more than salary_max."})
        return attrs


class SearchQuery(PageQuery):
    """How to search for jobs. All that is named must hold."""

    q = Line(required=False, max_length=200, help_text='Words, "phrases", -without, this or that')
    place = Line(required=False, max_length=80, help_text="The whole name, in capitals or not")
    category = serializers.RegexField(
        r"\A[a-z0-9]+(-[a-z0-9]+)*\Z", required=False, max_length=40, help_text="A slug"
    )
    type = serializers.ChoiceField(JobType.choices, required=False)
    salary_from = serializers.IntegerField(
        required=False, min_value=0, max_value=MOST_EUROS, help_text="Pays this much or more"
    )
    salary_to = serializers.IntegerField(
        required=False, min_value=0, max_value=MOST_EUROS, help_text="Begins at this or below"
    )
    sort = serializers.ChoiceField(
        ["-published_at", "-salary_max", "salary_max"], default="-published_at"
    )


# -- Applications


class ChangeSerializer(serializers.ModelSerializer[Change]):
    """One step in the history."""

    class Meta:
        model = Change
        fields = ("source", "target", "actor", "at")


class ApplicationSerializer(serializers.ModelSerializer[Application]):
    """An application in a list."""

    class JobOfApplication(serializers.ModelSerializer[Job]):
        """The job, in short."""

        class Meta:
            model = Job
            fields = ("id", "title", "place")

    class Applicant(serializers.ModelSerializer[User]):
        """Who applies."""

        class Meta:
            model = User
            fields = ("id", "name", "email")

    job = JobOfApplication()
    applicant = Applicant()

    class Meta:
        model = Application
        fields: ClassVar[Any] = ("id", "job", "applicant", "status", "created_at")


class ApplicationDetailSerializer(ApplicationSerializer):
    """An application with its letter and its history, and what the caller may make of it."""

    history = ChangeSerializer(many=True)
    possible = serializers.SerializerMethodField()

    class Meta(ApplicationSerializer.Meta):
        fields: ClassVar[Any] = (
            *ApplicationSerializer.Meta.fields,
            *("cover_letter", "history", "possible"),
        )

    def get_possible(self, application: Application) -> list[str]:
        """Return the statuses that the caller may set now."""
        return states.choices(application.status, self.context["role"])


class ApplicationInput(StrictSerializer):
    """A new application. The status is not part of it."""

    job = Whole(min_value=1)
    resume = serializers.UUIDField()
    cover_letter = Text(max_length=5000, required=False, allow_blank=True)


class ApplicationQuery(PageQuery):
    """Which applications."""

    job = serializers.IntegerField(required=False, min_value=1)
    status = serializers.ChoiceField(Status.choices, required=False)


class TransitionInput(StrictSerializer):
    """What an application becomes."""

    to = serializers.ChoiceField(TARGETS)


# -- Résumés


class ResumeSerializer(serializers.ModelSerializer[Resume]):
    """A résumé. Where its file is, nobody is told."""

    class Meta:
        model = Resume
        fields = ("id", "size", "sha256", "created_at")


class ResumeInput(StrictSerializer):
    """A PDF file. What the client calls it, or says of its type, does not count."""

    file = serializers.FileField(allow_empty_file=False, max_length=255)
