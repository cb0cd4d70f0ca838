"""The tables. What must always hold is a constraint, so that no code can forget it."""

import uuid
from typing import Any, ClassVar, Self

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVector, SearchVectorField
from django.core.files.storage import default_storage
from django.db import models
from django.db.models import CheckConstraint, F, Index, Q, UniqueConstraint
from django.db.models.functions import Lower, Now
from django_stubs_ext.db.models import TypedModelMeta

from jobs.states import Role, Status


class Employer(models.Model):
    """A company or another body that offers jobs."""

    name = models.CharField(max_length=120, unique=True)
    email = models.EmailField(help_text="Where news about its applications goes")
    description = models.TextField(max_length=2000, blank=True)


class UserManager(models.Manager["User"]):
    """Finds users by their e-mail address, and makes the first admin."""

    def create_superuser(self, email: str, name: str, password: str | None = None) -> "User":
        """Make an admin, for Django's command `createsuperuser`."""
        user = self.model(email=email.lower(), name=name, role=Role.ADMIN)
        user.set_password(password)
        user.save(using=self.db)
        return user

    def get_by_natural_key(self, email: str | None) -> "User":
        """Return the user with an address, in capitals or not."""
        return self.get(email=(email or "").lower())


class User(AbstractBaseUser):
    """Somebody with an account."""

    email = models.EmailField(unique=True)
    name = models.CharField(max_length=120)
    role = models.CharField(max_length=10, choices=Role.choices, default=Role.APPLICANT)
    employer = models.ForeignKey(
        Employer, models.PROTECT, null=True, blank=True, related_name="members"
    )
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(db_default=Now())
    last_login = None

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = ["name"]
    objects: ClassVar[UserManager] = UserManager()

    class Meta(TypedModelMeta):
        constraints: ClassVar[list[Any]] = [
            CheckConstraint(condition=Q(email=Lower("email")), name="user_email_lower"),
            CheckConstraint(condition=Q(role__in=Role.values), name="user_role_known"),
            CheckConstraint(
                condition=Q(role=Role.EMPLOYER, employer__isnull=False)
                | (~Q(role=Role.EMPLOYER) & Q(employer__isnull=True)),
                name="user_employer_by_role",
            ),
        ]


class Category(models.Model):
    """A line of work, such as nursing."""

    slug = models.SlugField(max_length=40, unique=True)
    name = models.CharField(max_length=60, unique=True)


class JobType(models.TextChoices):
    """How somebody is employed."""

    FULL_TIME = "full_time"
    PART_TIME = "part_time"
    CONTRACT = "contract"
    TEMPORARY = "temporary"
    INTERNSHIP = "internship"


OPEN = Q(closed_at__isnull=True)


class Job(models.Model):
    """A job that an employer offers."""

    employer = models.ForeignKey(Employer, models.PROTECT, related_name="jobs", db_index=False)
    category = models.ForeignKey(Category, models.PROTECT, related_name="jobs")
    title = models.CharField(max_length=120)
    description = models.TextField(max_length=10_000)
    place = models.CharField(max_length=80)
    type = models.CharField(max_length=10, choices=JobType.choices)
    salary_min = models.PositiveIntegerField(help_text="Euros a year")
    salary_max = models.PositiveIntegerField(help_text="Euros a year")
    published_at = models.DateTimeField(db_default=Now())
    closed_at = models.DateTimeField(null=True, blank=True)
    text = models.GeneratedField(
        expression=SearchVector("title", weight="A", config="english")
        + SearchVector("description", weight="B", config="english"),
        output_field=SearchVectorField(),
        db_persist=True,
    )

    class Meta(TypedModelMeta):
        constraints: ClassVar[list[Any]] = [
            CheckConstraint(condition=Q(type__in=JobType.values), name="job_type_known"),
            CheckConstraint(
                condition=Q(salary_min__lte=F("salary_max")), name="job_salary_in_order"
            ),
        ]
        # One for each question, and each ends as the pages are ordered. Those that serve the
        # search hold open jobs only.
        indexes: ClassVar[list[Any]] = [
            Index(fields=["employer", "-published_at", "-id"], name="job_of_employer"),
            Index(fields=["-published_at", "-id"], name="job_newest", condition=OPEN),
            Index(fields=["category", "-published_at", "-id"], name="job_category", condition=OPEN),
            Index(fields=["type", "-published_at", "-id"], name="job_type", condition=OPEN),
            Index(
                Lower("place"),
                F("published_at").desc(),
                F("id").desc(),
                name="job_place",
                condition=OPEN,
            ),
            Index(fields=["-salary_max", "-id"], name="job_salary", condition=OPEN),
            GinIndex(fields=["text"], name="job_text", condition=OPEN),
        ]


def random_name() -> str:
    """Return a name for a file, which says nothing and cannot be guessed."""
    return f"{uuid.uuid4().hex}.pdf"


class Resume(models.Model):
    """A PDF that somebody has uploaded. The file is private, and its name is random."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="resumes", db_index=False
    )
    stored_as = models.CharField(max_length=40, unique=True, default=random_name)
    size = models.PositiveIntegerField()
    sha256 = models.CharField(max_length=64)
    created_at = models.DateTimeField(db_default=Now())

    class Meta(TypedModelMeta):
        indexes: ClassVar[list[Any]] = [
            Index(fields=["owner", "-created_at", "-id"], name="resume_of_owner")
        ]

    def read(self) -> bytes:
        """Return the file's bytes."""
        with default_storage.open(self.stored_as) as file:
            content: bytes = file.read()
        return content


class ApplicationQuerySet(models.QuerySet["Application"]):
    """Knows who may see what."""

    def visible_to(self, user: User) -> Self:
        """Return what a user may see: its own, or those for its employer's jobs. Admins: none."""
        if user.role == Role.APPLICANT:
            return self.filter(applicant=user)
        if user.role == Role.EMPLOYER:
            return self.filter(job__employer=user.employer_id)
        return self.none()


class Application(models.Model):
    """Somebody's application for a job."""

    job = models.ForeignKey(Job, models.PROTECT, related_name="applications", db_index=False)
    applicant = models.ForeignKey(User, models.PROTECT, related_name="applications", db_index=False)
    resume = models.ForeignKey(Resume, models.PROTECT, related_name="applications")
    cover_letter = models.TextField(max_length=5000, blank=True)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.SUBMITTED)
    changed_by = models.ForeignKey(User, models.PROTECT, related_name="+", db_index=False)
    created_at = models.DateTimeField(db_default=Now())

    objects = ApplicationQuerySet.as_manager()

    class Meta(TypedModelMeta):
        constraints: ClassVar[list[Any]] = [
            UniqueConstraint(fields=["applicant", "job"], name="application_once"),
        ]
        indexes: ClassVar[list[Any]] = [
            Index(fields=["job", "-created_at", "-id"], name="application_of_job"),
            Index(fields=["applicant", "-created_at", "-id"], name="application_of_applicant"),
        ]


class Change(models.Model):
    """One step in an application's history. A trigger writes it, and another keeps it as it is."""

    application = models.ForeignKey(Application, models.PROTECT, related_name="history")
    source = models.CharField(max_length=10, blank=True, help_text="Empty for the first step")
    target = models.CharField(max_length=10)
    actor = models.ForeignKey(User, models.PROTECT, related_name="+", db_index=False)
    at = models.DateTimeField(db_default=Now())


class Notice(models.Model):
    """An e-mail about a change: it is owed until `sent_at` is set."""

    change = models.OneToOneField(Change, models.PROTECT, related_name="notice")
    recipient = models.EmailField()
    sent_at = models.DateTimeField(null=True, blank=True)


class Attempt(models.Model):
    """How often something was tried in a window of time, such as logging in to an account."""

    key = models.CharField(max_length=64)
    window = models.DateTimeField()
    count = models.PositiveIntegerField()

    class Meta(TypedModelMeta):
        constraints: ClassVar[list[Any]] = [
            UniqueConstraint(fields=["key", "window"], name="attempt_once_a_window"),
        ]
