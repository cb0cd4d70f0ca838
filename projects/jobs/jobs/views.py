"""The routes. A view reads its input, calls what does the work, and writes its output."""

from collections.abc import Callable
from typing import Any, ClassVar, cast
from uuid import UUID

from django.conf import settings
from django.contrib.auth import authenticate
from django.db import transaction
from django.db.models import ProtectedError, QuerySet
from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.parsers import MultiPartParser
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer
from rest_framework.throttling import BaseThrottle
from rest_framework.views import APIView

from jobs import attempts, serializers, services, tokens
from jobs.models import OPEN, Application, Category, Employer, Job, Resume, User
from jobs.pagination import PageQuery, listed, page_of
from jobs.permissions import ADMIN, ANYBODY, APPLICANT, EMPLOYER, SIGNED_IN, Roles
from jobs.problems import Conflict
from jobs.search import search
from jobs.states import Role

NEWEST = ("-published_at", "-id")
LATEST = ("-created_at", "-id")
Shape = type[Serializer[Any]]


def described(
    operation: str,
    answer: Any = None,
    status: int = 200,
    body: Shape | None = None,
    query: Shape | None = None,
) -> Callable[[Any], Any]:
    """Describe an operation for the OpenAPI document.

    Args:
        operation: Its name.
        answer: The serializer of what it answers; none stands for nothing.
        status: That of success.
        body: The serializer of the request's body.
        query: The serializer of the request's parameters.
    """
    return extend_schema(
        operation_id=operation,
        responses={status: answer or OpenApiResponse(description="Done")},
        request=body,
        parameters=[query] if query else [],
    )


def read(serializer: Shape, request: Request, **options: Any) -> Any:
    """Return the validated body of a request."""
    reader = serializer(data=request.data, **options)
    reader.is_valid(raise_exception=True)
    return reader.validated_data


def query_of(serializer: Shape, request: Request) -> dict[str, Any]:
    """Return the validated parameters of a request."""
    reader = serializer(data=request.query_params.dict())
    reader.is_valid(raise_exception=True)
    return dict(reader.validated_data)


def user_of(request: Request) -> User:
    """Return who asks. It is for views that somebody unknown does not reach."""
    return cast(User, request.user)


# -- Accounts


class PublicView(APIView):
    """What one does before anybody knows who one is."""

    authentication_classes = ()
    roles: ClassVar[Roles] = {"POST": ANYBODY}

    def get_authenticate_header(self, request: Request) -> str:  # noqa: ARG002 (DRF's signature)
        """Return what a 401 must name. Without it, DRF would answer 403 here."""
        return "Bearer"

    def address(self) -> str:
        """Return where the request comes from."""
        return str(BaseThrottle().get_ident(self.request))


class RegisterView(PublicView):
    """Make an account of an applicant. Admins make all others."""

    @described("register", serializers.UserSerializer, 201, serializers.AccountInput)
    def post(self, request: Request) -> Response:
        """Make an applicant's account."""
        wanted = read(serializers.AccountInput, request)
        attempts.count("register", self.address(), settings.REGISTRATIONS_PER_ADDRESS)
        return Response(serializers.UserSerializer(make_user(**wanted)).data, 201)


@transaction.atomic
def make_user(*, password: str, **fields: Any) -> User:
    """Make an account. The database refuses an e-mail address that has one."""
    user = User(**fields)
    user.set_password(password)
    user.save()
    return user


class LogInView(PublicView):
    """Log in."""

    @described("log_in", serializers.TokensSerializer, body=serializers.Credentials)
    def post(self, request: Request) -> Response:
        """Get a pair of tokens.

        Attempts are counted. An account is blocked for a while after too many wrong passwords, and
        an address after too many attempts of any kind.
        """
        wanted = read(serializers.Credentials, request)
        account = wanted["email"]
        attempts.count("login from", self.address(), settings.LOGIN_ATTEMPTS_PER_ADDRESS)
        attempts.count("login to", account, settings.LOGIN_ATTEMPTS_PER_ACCOUNT)
        user = authenticate(request, email=account, password=wanted["password"])
        if not isinstance(user, User):
            raise AuthenticationFailed("The address or the password is wrong.", "credentials")
        attempts.forget("login to", account)
        return Response(tokens.issue(user))


class RefreshView(PublicView):
    """Go on being logged in."""

    @described("refresh", serializers.TokensSerializer, body=serializers.RefreshInput)
    def post(self, request: Request) -> Response:
        """Get a new pair of tokens for a refresh token, which is used up by it."""
        wanted = read(serializers.RefreshInput, request)
        return Response(tokens.rotate(wanted["refresh"]))


class LogOutView(PublicView):
    """Log out."""

    @described("log_out", status=204, body=serializers.RefreshInput)
    def post(self, request: Request) -> Response:
        """Use the refresh token up. The access token ends by itself."""
        tokens.spend(read(serializers.RefreshInput, request)["refresh"])
        return Response(status=204)


class MeView(APIView):
    """The caller's own account."""

    roles: ClassVar[Roles] = {"GET": SIGNED_IN}

    @described("me", serializers.UserSerializer)
    def get(self, request: Request) -> Response:
        """Get it."""
        return Response(serializers.UserSerializer(user_of(request)).data)


class UsersView(APIView):
    """All accounts."""

    roles: ClassVar[Roles] = {"GET": ADMIN, "POST": ADMIN}

    @described("list_users", page_of(serializers.UserSerializer), query=PageQuery)
    def get(self, request: Request) -> Response:
        """List them, the newest first."""
        query = query_of(PageQuery, request)
        return listed(request, User.objects.all(), LATEST, serializers.UserSerializer, query)

    @described("make_user", serializers.UserSerializer, 201, serializers.UserInput)
    def post(self, request: Request) -> Response:
        """Make an account of any role."""
        wanted = read(serializers.UserInput, request)
        user = make_user(employer_id=wanted.pop("employer", None), **wanted)
        return Response(serializers.UserSerializer(user).data, 201)


class UserView(APIView):
    """One account."""

    roles: ClassVar[Roles] = {"PATCH": ADMIN}

    @described("change_user", serializers.UserSerializer, body=serializers.UserChange)
    def patch(self, request: Request, pk: int) -> Response:
        """Switch it on or off. Off, its access tokens are refused at once."""
        wanted = read(serializers.UserChange, request)
        with transaction.atomic():
            # One admin after another, or two switch each other off at once and nobody is left.
            admins = User.objects.filter(role=Role.ADMIN, is_active=True).order_by("pk")
            if user_of(request) not in admins.select_for_update():
                raise AuthenticationFailed("The account is not active.", "not_active")
            user = get_object_or_404(User.objects.select_for_update(), pk=pk)
            if user == user_of(request):
                raise Conflict("You cannot do this to your own account.", "own_account")
            user.is_active = wanted["is_active"]
            user.save(update_fields=["is_active"])
            if not user.is_active:
                tokens.revoke_all(user)
        return Response(serializers.UserSerializer(user).data)


# -- Employers and categories


class EmployersView(APIView):
    """All employers."""

    roles: ClassVar[Roles] = {"GET": ANYBODY, "POST": ADMIN}

    @described("list_employers", page_of(serializers.EmployerSerializer), query=PageQuery)
    def get(self, request: Request) -> Response:
        """List them."""
        query = query_of(PageQuery, request)
        found = Employer.objects.all()
        return listed(request, found, ("id",), serializers.EmployerSerializer, query)

    @transaction.atomic
    @described("make_employer", serializers.EmployerSerializer, 201, serializers.EmployerInput)
    def post(self, request: Request) -> Response:
        """Add one."""
        employer = Employer.objects.create(**read(serializers.EmployerInput, request))
        return Response(serializers.EmployerSerializer(employer).data, 201)


class EmployerJobsView(APIView):
    """The jobs of one employer, open and closed."""

    roles: ClassVar[Roles] = {"GET": EMPLOYER | ADMIN, "POST": EMPLOYER | ADMIN}

    def _employer(self, request: Request, pk: int) -> Employer:
        """Return the employer, if the caller may act for it."""
        employers, user = Employer.objects.all(), user_of(request)
        if user.role == Role.EMPLOYER:
            employers = employers.filter(members=user)
        return get_object_or_404(employers, pk=pk)

    @described("list_employer_jobs", page_of(serializers.JobSerializer), query=PageQuery)
    def get(self, request: Request, pk: int) -> Response:
        """List them, the newest first."""
        query = query_of(PageQuery, request)
        found = Job.objects.filter(employer=self._employer(request, pk))
        found = found.select_related("employer", "category").defer("text", "description")
        return listed(request, found, NEWEST, serializers.JobSerializer, query)

    @described("offer_job", serializers.JobDetailSerializer, 201, serializers.JobInput)
    def post(self, request: Request, pk: int) -> Response:
        """Offer a job. It is open at once."""
        employer = self._employer(request, pk)
        job = Job.objects.create(employer=employer, **read(serializers.JobInput, request))
        return Response(serializers.JobDetailSerializer(job).data, 201)


class CategoriesView(APIView):
    """All categories."""

    roles: ClassVar[Roles] = {"GET": ANYBODY, "POST": ADMIN}

    @described("list_categories", serializers.CategoriesSerializer)
    def get(self, request: Request) -> Response:  # noqa: ARG002
        """List them by name. There are so few that they need no pages."""
        found = Category.objects.order_by("name")[:500]
        return Response({"results": serializers.CategorySerializer(found, many=True).data})

    @transaction.atomic
    @described("make_category", serializers.CategorySerializer, 201, serializers.CategoryInput)
    def post(self, request: Request) -> Response:
        """Add one."""
        category = Category.objects.create(**read(serializers.CategoryInput, request))
        return Response(serializers.CategorySerializer(category).data, 201)


class CategoryView(APIView):
    """One category."""

    roles: ClassVar[Roles] = {"PATCH": ADMIN, "DELETE": ADMIN}

    @transaction.atomic
    @described("change_category", serializers.CategorySerializer, body=serializers.CategoryChange)
    def patch(self, request: Request, slug: str) -> Response:
        """Give it another name. Its slug stays, because addresses hold it."""
        wanted = read(serializers.CategoryChange, request)
        category = get_object_or_404(Category, slug=slug)
        category.name = wanted["name"]
        category.save(update_fields=["name"])
        return Response(serializers.CategorySerializer(category).data)

    @described("delete_category", status=204)
    def delete(self, request: Request, slug: str) -> Response:  # noqa: ARG002
        """Delete it, if no job is in it."""
        try:
            get_object_or_404(Category, slug=slug).delete()
        except ProtectedError:
            raise Conflict("Jobs are in this category.", "in_use") from None
        return Response(status=204)


# -- Jobs


class JobsView(APIView):
    """All open jobs."""

    roles: ClassVar[Roles] = {"GET": ANYBODY}

    @described("search_jobs", page_of(serializers.JobSerializer), query=serializers.SearchQuery)
    def get(self, request: Request) -> Response:
        """Search for jobs."""
        query = query_of(serializers.SearchQuery, request)
        found, ordering = search(query)
        return listed(request, found, ordering, serializers.JobSerializer, query)


def own_jobs(user: Any) -> QuerySet[Job]:
    """Return the jobs that a user may change: those of its employer, and all for an admin."""
    jobs = Job.objects.select_related("employer", "category").defer("text")
    return jobs if user.role == Role.ADMIN else jobs.filter(employer=user.employer_id)


class JobView(APIView):
    """One job."""

    roles: ClassVar[Roles] = {"GET": ANYBODY, "PATCH": EMPLOYER | ADMIN}

    @described("job", serializers.JobDetailSerializer)
    def get(self, request: Request, pk: int) -> Response:
        """Get it. A closed one is for its employer and for admins only."""
        jobs = Job.objects.filter(OPEN).select_related("employer", "category").defer("text")
        if getattr(request.user, "role", None) in (Role.EMPLOYER, Role.ADMIN):
            jobs |= own_jobs(user_of(request))
        return Response(serializers.JobDetailSerializer(get_object_or_404(jobs, pk=pk)).data)

    @described("change_job", serializers.JobDetailSerializer, body=serializers.JobInput)
    def patch(self, request: Request, pk: int) -> Response:
        """Change some of its fields."""
        with transaction.atomic():
            locked = own_jobs(user_of(request)).select_for_update(of=("self",))
            job = get_object_or_404(locked, pk=pk)
            wanted = read(serializers.JobInput, request, instance=job, partial=True)
            for name, value in wanted.items():
                setattr(job, name, value)
            job.save(update_fields=list(wanted))
        return Response(serializers.JobDetailSerializer(job).data)


class CloseJobView(APIView):
    """The end of an offer."""

    roles: ClassVar[Roles] = {"POST": EMPLOYER | ADMIN}

    @described("close_job", serializers.JobDetailSerializer)
    def post(self, request: Request, pk: int) -> Response:
        """Close the job: nobody finds it or applies any more. To close it again changes nothing."""
        job = get_object_or_404(own_jobs(user_of(request)), pk=pk)
        services.close(job)
        return Response(serializers.JobDetailSerializer(job).data)


# -- Applications


class ApplicationsView(APIView):
    """The applications that the caller has made, or has received."""

    roles: ClassVar[Roles] = {"GET": APPLICANT | EMPLOYER, "POST": APPLICANT}

    @described(
        "list_applications",
        page_of(serializers.ApplicationSerializer),
        query=serializers.ApplicationQuery,
    )
    def get(self, request: Request) -> Response:
        """List them, the newest first."""
        query = query_of(serializers.ApplicationQuery, request)
        found = Application.objects.visible_to(user_of(request)).select_related("job", "applicant")
        found = found.filter(**{name: query[name] for name in ("job", "status") if name in query})
        return listed(request, found, LATEST, serializers.ApplicationSerializer, query)

    @described("apply", serializers.ApplicationDetailSerializer, 201, serializers.ApplicationInput)
    def post(self, request: Request) -> Response:
        """Apply for a job. A person may do so once for each job."""
        wanted = read(serializers.ApplicationInput, request)
        made = services.apply(
            user_of(request), wanted["job"], wanted["resume"], wanted.get("cover_letter", "")
        )
        return Response(detail_of(user_of(request), made.pk), 201)


def detail_of(user: Any, pk: int) -> Any:
    """Return an application as its applicant or the job's employer sees it."""
    visible = Application.objects.visible_to(user).select_related("job", "applicant")
    application = get_object_or_404(visible.prefetch_related("history"), pk=pk)
    context = {"role": user.role}
    return serializers.ApplicationDetailSerializer(application, context=context).data


class ApplicationView(APIView):
    """One application."""

    roles: ClassVar[Roles] = {"GET": APPLICANT | EMPLOYER}

    @described("application", serializers.ApplicationDetailSerializer)
    def get(self, request: Request, pk: int) -> Response:
        """Get it with its history."""
        return Response(detail_of(user_of(request), pk))


class TransitionsView(APIView):
    """The changes of an application's status."""

    roles: ClassVar[Roles] = {"POST": APPLICANT | EMPLOYER}

    @described(
        "change_application",
        serializers.ApplicationDetailSerializer,
        body=serializers.TransitionInput,
    )
    def post(self, request: Request, pk: int) -> Response:
        """Change the status. Of two who do it at once, one gets 409 if both cannot be."""
        services.change(user_of(request), pk, read(serializers.TransitionInput, request)["to"])
        return Response(detail_of(user_of(request), pk))


class PDFRenderer(JSONRenderer):
    """Lets a client ask for a PDF. What DRF renders itself is a problem then, in JSON."""

    media_type = "application/pdf"
    format = "pdf"


class ApplicationResumeView(APIView):
    """The résumé of an application."""

    roles: ClassVar[Roles] = {"GET": APPLICANT | EMPLOYER}
    renderer_classes = (PDFRenderer, JSONRenderer)

    @extend_schema(
        operation_id="application_resume",
        responses={(200, "application/pdf"): OpenApiTypes.BINARY},
    )
    def get(self, request: Request, pk: int) -> HttpResponse:
        """Download it: as its applicant, or as the job's employer, and as nobody else.

        Each download is authorised anew. There is no address that works without a token. The
        headers keep a browser from showing the file, from guessing at its type, and from keeping
        it.
        """
        content = services.resume_of(user_of(request), pk).read()
        response = HttpResponse(content, content_type="application/pdf")
        response["Content-Disposition"] = f'attachment; filename="resume-{pk}.pdf"'
        response["X-Content-Type-Options"] = "nosniff"
        response["Content-Security-Policy"] = "sandbox; default-src 'none'"
        response["Cache-Control"] = "private, no-store"
        return response


# -- Résumés


class ResumesView(APIView):
    """The caller's résumés."""

    roles: ClassVar[Roles] = {"GET": APPLICANT, "POST": APPLICANT}
    parser_classes = (MultiPartParser,)

    @described("list_resumes", page_of(serializers.ResumeSerializer), query=PageQuery)
    def get(self, request: Request) -> Response:
        """List them, the newest first."""
        query = query_of(PageQuery, request)
        found = Resume.objects.filter(owner=user_of(request))
        return listed(request, found, LATEST, serializers.ResumeSerializer, query)

    @described("upload_resume", serializers.ResumeSerializer, 201, serializers.ResumeInput)
    def post(self, request: Request) -> Response:
        """Upload a PDF file."""
        file = read(serializers.ResumeInput, request)["file"]
        resume = services.keep_resume(user_of(request), file.read(settings.RESUME_BYTES + 1))
        return Response(serializers.ResumeSerializer(resume).data, 201)


class ResumeView(APIView):
    """One résumé."""

    roles: ClassVar[Roles] = {"DELETE": APPLICANT}

    @described("delete_resume", status=204)
    def delete(self, request: Request, pk: UUID) -> Response:
        """Delete it and its file, if no application holds it."""
        services.delete_resume(user_of(request), pk)
        return Response(status=204)
