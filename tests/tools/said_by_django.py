"""Make Django, DRF, simplejwt and Strawberry say what the rows of data/messages/django.yml say.

test_messages_python.py starts this in a process of its own, since settings are for a whole
process. It prints one line of JSON: for each row's id, what was said.
"""

import asyncio
import datetime
import io
import json
import logging
import sys
import tempfile
import types
import warnings
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import django
import environ
from django.conf import settings

said: dict[str, str] = {}


@contextmanager
def saying(name: str) -> Iterator[None]:
    """Keep the exception's text, as the last line of a traceback has it."""
    try:
        yield
    except (Exception, SystemExit) as error:
        kind = type(error)
        known = kind.__module__ not in ("builtins", "__main__") and "<locals>" not in str(kind)
        said[name] = f"{kind.__module__ + '.' if known else ''}{kind.__name__}: {error}"
    else:
        raise SystemExit(f"{name}: nothing is said")


with saying("django-settings-not-configured"):
    settings.DEBUG  # noqa: B018
with saying("django-environ-missing"):
    environ.Env()("NOBODY_HAS_SET_THIS")

urls = types.ModuleType("urls")
urls.urlpatterns = []  # type: ignore[attr-defined]
sys.modules["urls"] = urls
settings.configure(
    ALLOWED_HOSTS=["shop.example"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    DEBUG=True,
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth"],
    REST_FRAMEWORK={"UNAUTHENTICATED_USER": None},
    ROOT_URLCONF="urls",
    SECRET_KEY="only-for-this-process-and-long-enough-for-hs256",
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates"}],
    USE_TZ=True,
)
with saying("django-apps-not-loaded"):
    import django.contrib.auth.models
sys.modules.pop("django.contrib.auth.models", None)
with saying("django-app-config-name"):
    broken = types.ModuleType("listings_apps")
    exec(
        "from django.apps import AppConfig\n"
        "class ListingsConfig(AppConfig): name = 'not_there.listings'",
        vars(broken),
    )
    broken.ListingsConfig.__module__ = "listings_apps"
    sys.modules["listings_apps"] = broken
    from django.apps.config import AppConfig

    AppConfig.create("listings_apps.ListingsConfig")
django.setup()

import strawberry  # noqa: E402
from asgiref.sync import async_to_sync  # noqa: E402
from django.contrib.auth import get_user_model  # noqa: E402
from django.contrib.auth.models import Group, User  # noqa: E402
from django.contrib.staticfiles.storage import ManifestStaticFilesStorage  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.core.paginator import Paginator  # noqa: E402
from django.db import IntegrityError, connection, models, transaction  # noqa: E402
from django.db.migrations.loader import MigrationLoader  # noqa: E402
from django.db.migrations.recorder import MigrationRecorder  # noqa: E402
from django.http import HttpRequest, HttpResponse  # noqa: E402
from django.middleware.common import CommonMiddleware  # noqa: E402
from django.middleware.csrf import CsrfViewMiddleware  # noqa: E402
from django.template import Template, loader  # noqa: E402
from django.test import Client, RequestFactory, override_settings  # noqa: E402
from django.urls import path, reverse  # noqa: E402
from rest_framework import generics, routers, serializers, views, viewsets  # noqa: E402
from rest_framework.exceptions import ErrorDetail  # noqa: E402
from rest_framework_simplejwt.authentication import JWTAuthentication  # noqa: E402
from rest_framework_simplejwt.serializers import TokenObtainPairSerializer  # noqa: E402
from rest_framework_simplejwt.tokens import RefreshToken  # noqa: E402

requests = RequestFactory(SERVER_NAME="shop.example")
warnings.simplefilter("error")
logging.getLogger("django").handlers.clear()


class Place(models.Model):
    """A model of an application that nobody has installed."""

    title = models.CharField(max_length=10)
    host = models.ForeignKey(User, models.PROTECT)
    since = models.DateTimeField(null=True)

    class Meta:
        """Where it belongs."""

        app_label = "auth"


def trial(name: str, provoke: Callable[[], object]) -> None:
    with saying(name):
        provoke()


# Settings and applications
trial("django-no-app-label", lambda: type("X", (models.Model,), {"__module__": "shop.models"}))
with override_settings(AUTH_USER_MODEL="people.User"):
    trial("django-user-model-not-installed", get_user_model)
with override_settings(SECRET_KEY=""):
    trial("django-secret-key-empty", lambda: settings.SECRET_KEY)

# Migrations
trial("django-no-such-table", User.objects.count)
recorder = MigrationRecorder(connection)
recorder.record_applied("auth", "0002_alter_permission_name_max_length")
trial(
    "django-inconsistent-history",
    lambda: MigrationLoader(connection).check_consistent_history(connection),
)
recorder.flush()


def migrations(**parents: str) -> None:
    """Run makemigrations with such files; each has the name of its parent."""
    text = (
        "from django.db import migrations\nclass Migration(migrations.Migration):\n"
        "    dependencies = [('auth', name) for name in [{0!r}] if name]\n"
    )
    with tempfile.TemporaryDirectory() as folder:
        package = Path(folder, f"migrations_{len(said)}")
        package.mkdir()
        (package / "__init__.py").touch()
        for name, parent in parents.items():
            (package / f"{name}.py").write_text(text.format(parent))
        sys.path.insert(0, folder)
        try:
            with override_settings(MIGRATION_MODULES={"auth": package.name}):
                call_command("makemigrations", "auth", stdout=io.StringIO())
        finally:
            sys.path.remove(folder)


trial(
    "django-conflicting-migrations",
    lambda: migrations(one="", two_a="one", two_b="one"),
)
trial("django-node-not-found", lambda: migrations(two="one_that_is_lost"))

call_command("migrate", verbosity=0)
with connection.schema_editor() as editor:
    editor.create_model(Place)

# Requests
trial("django-disallowed-host", lambda: requests.get("/", HTTP_HOST="10.0.0.7").get_host())


def refused_by_csrf(request: HttpRequest) -> str:
    """The line that the middleware logs."""
    lines = io.StringIO()
    log = logging.getLogger("django.security.csrf")
    handler = logging.StreamHandler(lines)
    log.addHandler(handler)
    middleware = CsrfViewMiddleware(lambda _: HttpResponse())
    middleware.process_request(request)
    middleware.process_view(request, lambda _: HttpResponse(), (), {})
    log.removeHandler(handler)
    return lines.getvalue()


def post(*, cookie: bool = True, token: str = "", secure: bool = False, **headers: str) -> str:
    request = requests.post("/", {"csrfmiddlewaretoken": token}, secure=secure, **headers)
    if cookie:
        request.COOKIES["csrftoken"] = "a" * 32
    return refused_by_csrf(request)


said["django-csrf-origin"] = post(HTTP_ORIGIN="https://other.example")
said["django-csrf-cookie"] = post(cookie=False)
said["django-csrf-token"] = post()
said["django-csrf-incorrect"] = post(token="b" * 32)
said["django-csrf-referer"] = post(secure=True)


def read_twice() -> object:
    request = requests.post("/", b"x", content_type="text/plain")
    request.read()
    return request.body


urls.urlpatterns += [  # type: ignore[attr-defined]
    path("none/", lambda _: None),  # type: ignore[arg-type, return-value]
    path("places/", lambda _: HttpResponse()),
]
client = Client(SERVER_NAME="shop.example")
slash = CommonMiddleware(lambda _: HttpResponse(status=404))
trial("django-append-slash", lambda: slash(requests.post("/places", {})))
trial("django-view-returned-none", lambda: client.get("/none/"))
trial("django-raw-post", read_twice)
with override_settings(DATA_UPLOAD_MAX_NUMBER_FIELDS=1):
    trial("django-too-many-fields", lambda: requests.post("/", {"a": 1, "b": 2}).POST)
with override_settings(DATA_UPLOAD_MAX_MEMORY_SIZE=1):
    body = {"data": b"{12}", "content_type": "application/json"}
    trial("django-body-too-large", lambda: requests.post("/", **body).body)
trial("django-no-reverse-match", lambda: reverse("place-detail", args=[1]))
trial("django-no-namespace", lambda: reverse("shop:list"))
trial("django-template-missing", lambda: loader.get_template("places/list.html"))
trial("django-invalid-block-tag", lambda: Template("{% static 'a.css' %}"))
with override_settings(DEBUG=False, STATIC_ROOT="/nowhere", STATIC_URL="/static/"):
    trial("django-missing-manifest", lambda: ManifestStaticFilesStorage().url("a.css"))

# Models
trial("django-does-not-exist", lambda: User.objects.get(pk=1))
ada = User.objects.create_user("ada", password="right")
User.objects.create(username="bode")
place = Place.objects.create(title="Loft", host=ada)
naive = datetime.datetime(2026, 1, 1)


def after_an_error() -> None:
    with transaction.atomic():
        with suppress(IntegrityError):
            User.objects.create(username="ada")
        User.objects.count()
        transaction.set_rollback(True)
        User.objects.count()


def durable() -> None:
    with transaction.atomic(), transaction.atomic(durable=True):
        pass


async def query() -> int:
    return User.objects.count()


async def back_and_forth() -> None:
    async_to_sync(query)()


def in_a_loop(coroutine: Coroutine[object, object, object]) -> None:
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    loop.run_until_complete(coroutine)


by_id = User.objects.order_by("id")
mixed = models.F("id") + models.F("date_joined")
trial("django-multiple-objects", User.objects.get)
trial("django-cannot-resolve-keyword", lambda: User.objects.filter(town="a"))
trial("django-select-related-invalid", lambda: User.objects.select_related("groups").first())
trial("django-expected-number", lambda: Place.objects.filter(host="ada"))
trial("django-unsaved-related", lambda: Place.objects.create(host=User()))
trial("django-cannot-assign", lambda: Place(host=1))
trial("django-protected", ada.delete)
trial("django-transaction-management", after_an_error)
trial("django-durable-atomic", durable)
trial("django-sync-only", lambda: in_a_loop(query()))
trial("django-async-to-sync", lambda: in_a_loop(back_and_forth()))
trial("django-naive-datetime", lambda: Place.objects.create(host=ada, since=naive))
trial("django-unordered-list", lambda: Paginator(Group.objects.order_by(), 2).page(1))
trial("django-slice-filter", lambda: by_id[:2].filter(id=1))
trial("django-mixed-types", lambda: str(User.objects.annotate(x=mixed).query))


# Django REST framework
class Host(serializers.ModelSerializer):
    """A serializer to put into another one."""

    class Meta:
        """As little as there is."""

        model = User
        fields = ("username",)


class Nested(serializers.ModelSerializer):
    """Has a serializer as a field."""

    host = Host()

    class Meta:
        """Both."""

        model = Place
        fields = ("title", "host")


class Declared(Nested):
    """Lacks a field that it declares."""

    more = serializers.CharField()


class Named(serializers.Serializer):
    """Asks for what a user does not have."""

    city = serializers.CharField()


class Linked(serializers.HyperlinkedModelSerializer):
    """Has a link."""

    class Meta:
        """The link alone."""

        model = User
        fields = ("url",)


class Chosen(serializers.Serializer):
    """Asks for the id of a user."""

    host = serializers.PrimaryKeyRelatedField(queryset=by_id)


class Users(generics.RetrieveAPIView):
    """Looks for another word than its URL has."""

    queryset = by_id
    serializer_class = Host
    lookup_field = "slug"


class Silent(views.APIView):
    """Answers nothing."""

    def get(self, _request: HttpRequest) -> None:
        """Nothing."""

    def post(self, request: views.Request) -> object:
        """Reads the body."""
        return request.data


def saved() -> None:
    nested = Nested(data={"title": "Attic", "host": {"username": "chidi"}})
    nested.is_valid(raise_exception=True)
    nested.save()


def first_error(errors: object) -> str:
    while not isinstance(errors, ErrorDetail):
        errors = next(iter(errors.values() if isinstance(errors, dict) else errors))
    return str(errors)


def invalid(serializer: serializers.BaseSerializer) -> str:
    serializer.is_valid()
    return first_error(serializer.errors)


get = requests.get("/")
trial("drf-writable-nested", saved)
trial("drf-attribute-error", lambda: Named(ada).data)
trial("drf-not-in-fields", lambda: Declared().fields)
trial("drf-basename", lambda: routers.SimpleRouter().register("a", viewsets.GenericViewSet))
trial("drf-no-queryset", lambda: generics.ListAPIView.as_view()(get))
trial("drf-lookup-field", lambda: Users.as_view()(get, pk=1))
trial("drf-expected-response", lambda: Silent.as_view()(get))
trial("drf-hyperlinked", lambda: Linked(ada, context={"request": get}).data)
trial("drf-is-valid-first", lambda: Named(data={}).data)
wrong = requests.post("/", b"{'a': 1}", content_type="application/json")
said["drf-json-parse-error"] = Silent.as_view()(wrong).data["detail"]
said["drf-field-required"] = invalid(Named(data={}))
said["drf-expected-dictionary"] = invalid(Named(data=["Lagos"]))
said["drf-invalid-pk"] = invalid(Chosen(data={"host": 99}))


# simplejwt
class Guarded(Silent):
    """Wants a token."""

    authentication_classes = (JWTAuthentication,)


def refused_token(header: str) -> str:
    return str(Guarded.as_view()(requests.get("/", HTTP_AUTHORIZATION=header)).data["detail"])


said["jwt-not-valid"] = refused_token(f"Bearer {RefreshToken.for_user(ada)}")
said["jwt-two-values"] = refused_token("Bearer")
credentials = {"username": "ada", "password": "wrong"}
trial(
    "jwt-no-active-account",
    lambda: TokenObtainPairSerializer(data=credentials).is_valid(raise_exception=True),
)


# GraphQL
@strawberry.type
class House:
    """A type with a promise that is not kept."""

    title: str

    @strawberry.field
    def city(self) -> str:
        """Nothing."""
        return None  # type: ignore[return-value]


@strawberry.type
class Query:
    """The root."""

    @strawberry.field
    def house(self) -> House:
        """A house."""
        return House(title="Loft")

    @strawberry.field
    async def later(self) -> str:
        """A title that comes later."""
        return "Loft"

    @strawberry.field
    def place(self, number: int) -> str:
        """A title by its number."""
        return str(number)


@strawberry.type
class Unknown:
    """A type that refers to another one that is not there."""

    house: "Nowhere"  # type: ignore[name-defined]  # noqa: F821


QUERIES = {
    "graphql-non-nullable": "{ house { city } }",
    "graphql-sync": "{ later }",
    "graphql-cannot-query-field": "{ house { rooms } }",
    "graphql-variable-invalid": "query ($n: Int!) { place(number: $n) }",
    "graphql-selection": "{ house }",
}
schema = strawberry.Schema(Query)
warnings.simplefilter("ignore")
for name, text in QUERIES.items():
    said[name] = "\n".join(error.message for error in schema.execute_sync(text).errors or ())
trial("graphql-unresolved-type", lambda: strawberry.Schema(Unknown))

sys.stdout.write(json.dumps(said) + "\n")
