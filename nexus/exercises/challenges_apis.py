"""Judges of "Challenges with APIs": a token, a page of another origin, an address, imports, N+1.

Four of the answers are parts of a Django project. Each of these is tried in an interpreter of its
own, which is started anew, with a project and a database that are made for it. The functions whose
names begin with `try_` run there, and know nothing of this module but what `_program` gives them.
"""

import asyncio
import contextlib
import gc
import inspect
import json
import logging
import os
import re
import sys
import tempfile
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from nexus.judging import NotYet, first_line, judge
from nexus.judging.limits import within
from nexus.judging.programs import last_line, program

Files = Mapping[str, str]

PRELUDE = """
import contextlib
import json
import os
import re
import sys
from pathlib import Path
from typing import Any


class NotYet(Exception):
    pass

"""

EPILOGUE = """
said = {}
try:
    said["right"] = TRY(*json.loads(Path("given.json").read_text()))
except NotYet as error:
    said["not yet"] = str(error)
except BaseException as error:
    said["raised"] = f"{type(error).__name__}: {error}"
finally:
    Path("said.json").write_text(json.dumps(said))
"""


def _tried(trial: Callable[..., str], files: Files, *given: object) -> str:
    """Lets a function try some files in an interpreter of its own, and returns what it says.

    Args:
        trial: one of the functions below.
        files: the answer's, by their names.
        given: what the function gets.

    Raises:
        NotYet: if it does not like them.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file, text in files.items():
            (folder / file).parent.mkdir(exist_ok=True)
            (folder / file).write_text(text)
        needed: list[Callable[..., Any]] = [site, sent, *OF[trial], trial]
        parts = [inspect.getsource(part) for part in needed]
        (folder / "the_judge.py").write_text(
            PRELUDE + "\n\n".join(parts) + EPILOGUE.replace("TRY", trial.__name__)
        )
        (folder / "given.json").write_text(json.dumps(given))
        done = program([sys.executable, "the_judge.py"], folder, {"PYTHONPATH": ""})
        try:
            said = json.loads((folder / "said.json").read_text())
        except (OSError, ValueError):
            raise NotYet(f"it ended before it was tried: {last_line(done.stderr)}") from None
    if "right" in said:
        return str(said["right"])
    raise NotYet(said.get("not yet") or f"it raised {said.get('raised')}")


def _checked(answer: Mapping[str, str], *needed: str) -> None:
    """Looks at the names and the texts of some files.

    Raises:
        NotYet: if one is missing, or is no file of a project.
    """
    if missing := [name for name in needed if name not in answer]:
        raise NotYet(f"there is no {missing[0]} in it")
    for name, text in answer.items():
        if not isinstance(name, str) or not re.fullmatch(r"([a-z_]+/)?[a-z_]+\.py", name):
            raise NotYet(f"{name!r} is not the name of a module: small letters, and .py")
        if not isinstance(text, str) or len(text) > 10_000:
            raise NotYet(f"{name} should be a text, and not a long one")


# -- what runs in the other interpreter


def site(**more: Any) -> None:  # noqa: ANN401
    """Sets up Django, with a database in a file, and makes the tables."""
    import django
    from django.apps import apps
    from django.conf import settings
    from django.db import connection

    own = {
        "SECRET_KEY": "k" * 50,
        "ALLOWED_HOSTS": ["*"],
        "DATABASES": {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "db.sqlite3"}},
        "INSTALLED_APPS": ["django.contrib.auth", "django.contrib.contenttypes"],
        "DEFAULT_AUTO_FIELD": "django.db.models.BigAutoField",
        "LOGGING_CONFIG": None,
        "USE_TZ": True,
        "PASSWORD_HASHERS": ["django.contrib.auth.hashers.MD5PasswordHasher"],
    } | more
    settings.configure(**own)
    django.setup()
    with connection.schema_editor() as editor:  # migrations would take a second
        for model in apps.get_models():
            editor.create_model(model)


def sent(what: str, action: Any, *arguments: Any, **named: Any) -> Any:  # noqa: ANN401
    """Does something with the answer's code, whose errors would be a 500.

    Raises:
        NotYet: if it raises one.
    """
    try:
        return action(*arguments, **named)
    except NotYet:
        raise
    except Exception as error:
        line = re.sub(r" \(/[^)]*\)", "", str(error).strip().partition("\n")[0])
        raise NotYet(f"{what}: it raised {type(error).__name__}: {line}") from None


# -- 1: the token that outlives the log-out

GIVEN_1 = """
from rest_framework_simplejwt.authentication import JWTAuthentication
from rest_framework_simplejwt.tokens import RefreshToken

def log_in(user):
    return RefreshToken.for_user(user)

def log_out(refresh):
    RefreshToken(refresh).blacklist()

class Authentication(JWTAuthentication):
    pass
"""


@judge(
    "challenges-apis.1",
    takes=str,
    called="the text of a module",
    hint="give the text of tokens.py, with log_in, log_out and Authentication",
    stub=GIVEN_1,
)
def log_out(answer: str) -> str:
    """After the log-out nothing of this log-in gets in, in any process, and all else does."""
    return _tried(try_tokens, {"tokens.py": answer})


def forgiving(function: Any, *arguments: Any) -> None:  # noqa: ANN401
    """Calls what may refuse a token, of which simplejwt makes a 401."""
    from rest_framework.exceptions import APIException
    from rest_framework_simplejwt.exceptions import TokenError

    with contextlib.suppress(TokenError, APIException):
        function(*arguments)


def try_tokens() -> str:
    """Logs in from two devices and out from one."""
    import importlib

    site(
        INSTALLED_APPS=[
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "django.contrib.sessions",
            "rest_framework_simplejwt.token_blacklist",
        ],
        REST_FRAMEWORK={"UNAUTHENTICATED_USER": None},
    )
    from django.contrib.auth.models import User
    from django.db import connections
    from rest_framework.permissions import IsAuthenticated
    from rest_framework.response import Response
    from rest_framework.test import APIRequestFactory
    from rest_framework.views import APIView
    from rest_framework_simplejwt.tokens import RefreshToken
    from rest_framework_simplejwt.views import TokenRefreshView

    module: Any = sent("imported", importlib.import_module, "tokens")
    for name in ("log_in", "log_out", "Authentication"):
        if not callable(getattr(module, name, None)):
            raise NotYet(f"there is no {name} in it")

    class Me(APIView):
        authentication_classes = (module.Authentication,)
        permission_classes = (IsAuthenticated,)

        def get(self, request: Any) -> Response:  # noqa: ANN401
            return Response(request.user.username)

    me, factory = Me.as_view(), APIRequestFactory()

    def enter(what: str, access: str) -> Any:  # noqa: ANN401
        """The status that a request with this token gets, and whom it is taken for."""
        request = factory.get("/me", headers={"authorization": f"Bearer {access}"})
        response = sent(f"asked with {what}", me, request)
        return response.status_code if response.status_code != 200 else response.data

    def renew(what: str, refresh: str) -> Any:  # noqa: ANN401
        """The answer to a request for a new access token."""
        request = factory.post("/refresh", {"refresh": refresh}, format="json")
        return sent(f"refreshed with {what}", TokenRefreshView.as_view(), request)

    def log_in(user: Any) -> tuple[str, str]:  # noqa: ANN401
        """The two tokens of a log-in, as the client gets them."""
        refresh = sent("log_in", module.log_in, user)
        if not isinstance(refresh, RefreshToken):
            raise NotYet("log_in should return the refresh token, as it did")
        return str(refresh), str(refresh.access_token)

    connections.close_all()
    (hears, tells), (gets, says) = os.pipe(), os.pipe()
    if (second_worker := os.fork()) == 0:  # before log_out is called for the first time
        try:
            tokens = json.loads(os.read(hears, 10_000))
            os.write(says, json.dumps([enter("a token", token) for token in tokens]).encode())
        finally:
            os._exit(0)
    amina, bode = (User.objects.create_user(name, None, "quiet") for name in ("amina", "bode"))
    (laptop, access), phone, other = log_in(amina), log_in(amina), log_in(bode)
    again = renew("the laptop's token", laptop)
    if again.status_code != 200:
        raise NotYet(f"before any log-out, a refresh gets {again.status_code}")
    second, laptop = str(again.data["access"]), str(again.data.get("refresh", laptop))
    for what, token, name in (
        ("Amina's laptop", access, "amina"),
        ("Amina's laptop, after a refresh,", second, "amina"),
        ("Amina's phone", phone[1], "amina"),
        ("Bode", other[1], "bode"),
    ):
        if (got := enter(what, token)) != name:
            raise NotYet(f"before any log-out, {what} gets {got} with a good access token")
    sent("log_out", module.log_out, laptop)
    for what, token in (
        ("the access token", access),
        ("a second access token, got by a refresh before the log-out,", second),
    ):
        if (got := enter(what, token)) != 401:
            how = (
                f"gets {got}, and not 401" if isinstance(got, int) else f"still gets in (as {got})"
            )
            raise NotYet(f"after the log-out of the laptop, {what} {how}")
    if (status := renew("the laptop's token", laptop).status_code) == 200:
        raise NotYet("after the log-out, the refresh token still gets a new access token")
    if status != 401:
        raise NotYet(f"after the log-out, the refresh token gets {status}, and not 401")
    for what, token, name in (
        ("Amina's phone, which is another log-in,", phone[1], "amina"),
        ("Bode", other[1], "bode"),
    ):
        if (got := enter(what, token)) != name:
            raise NotYet(f"Amina's laptop was logged out, and {what} gets {got} too")
    if renew("the phone's token", phone[0]).status_code != 200:
        raise NotYet("Amina's laptop was logged out, and her phone can no longer refresh")
    if (got := enter("a new token", log_in(amina)[1])) != "amina":
        raise NotYet(f"Amina logs in again at once, and her new access token gets {got}")
    sent("a second click on log-out", forgiving, module.log_out, laptop)
    strange = f"{phone[1].rpartition('.')[0]}.{access.rpartition('.')[2]}"
    for what, token in (
        ("a token whose signature is wrong", strange),
        ("a refresh token in the place of an access token", phone[0]),
        ("a text that is no token", "quiet"),
    ):
        if (got := enter(what, token)) != 401:
            raise NotYet(f"{what} gets {got}, and not 401")
    enter(
        "a token that was issued before your change, and has no new claim",
        str(RefreshToken.for_user(bode).access_token),
    )
    gone_user = User.objects.create_user("chidi", None, "quiet")
    token = log_in(gone_user)[1]
    User.objects.filter(pk=gone_user.pk).update(is_active=False)
    if (got := enter("the token of a deactivated user", token)) != 401:
        raise NotYet(f"a user was deactivated, and their token gets in (as {got})")
    os.close(says)
    os.write(tells, json.dumps([access, phone[1]]).encode())
    there = json.loads(os.read(gets, 10_000) or "[]")
    os.waitpid(second_worker, 0)
    if there != [401, "amina"]:
        raise NotYet(
            f"in a second worker process, the token gets in (as {there[0]}): keep what log_out "
            "does in the database, and not in the memory of one process"
            if there[:1] == ["amina"]
            else f"in a second worker process, the two tokens get {there}"
        )
    return (
        "after the log-out both access tokens and the refresh token of this log-in get 401, also "
        "in a second process; the phone and another user stay logged in"
    )


# -- 2: the page of another origin

GIVEN_2 = {
    "credentials": "same-origin",
    "CORS_ALLOW_ALL_ORIGINS": True,
    "CORS_ALLOW_CREDENTIALS": False,
    "CSRF_TRUSTED_ORIGINS": [],
}


@judge(
    "challenges-apis.2",
    takes=dict,
    called="a dictionary of settings",
    hint="give a dictionary with credentials, as the page's fetch has it, and Django's settings",
    stub=GIVEN_2,
)
def cors(answer: dict[str, Any]) -> str:
    """The page reads and writes as Amina, and no page of another origin does."""
    for name in answer:
        if not isinstance(name, str) or not re.fullmatch(
            r"credentials|MIDDLEWARE|(CORS|CSRF|SESSION)_[A-Z_]+", name
        ):
            raise NotYet(f"{name!r} is no setting of CORS, CSRF, sessions or middleware")
    if answer.get("credentials") not in ("omit", "same-origin", "include"):
        raise NotYet("credentials, an option of fetch(), is omit, same-origin or include")
    try:
        settings = json.loads(json.dumps(answer))
    except (TypeError, ValueError):
        raise NotYet("the settings should be texts, numbers, True or False, and lists") from None
    return _tried(try_cors, {}, settings)


def me(request: Any) -> Any:  # noqa: ANN401
    """Who asks; a POST changes the name."""
    from django.http import JsonResponse
    from django.middleware.csrf import get_token

    if request.method == "POST" and request.user.is_authenticated:
        request.user.first_name = request.POST.get("name") or json.loads(request.body)["name"]
        request.user.save()
    name = request.user.first_name if request.user.is_authenticated else str(request.user)
    return JsonResponse({"name": name, "token": get_token(request)})


def is_shared(origin: str, credentials: str, headers: Any) -> str:  # noqa: ANN401
    """Why a browser keeps a response from the page; an empty text if it does not (Fetch, 4.10)."""
    allowed = headers.get("Access-Control-Allow-Origin")
    if allowed is None:
        return "No 'Access-Control-Allow-Origin' header is present on the requested resource."
    if credentials != "include" and allowed == "*":
        return ""
    if allowed == "*":
        return (
            "The value of the 'Access-Control-Allow-Origin' header in the response must not be "
            "the wildcard '*' when the request's credentials mode is 'include'."
        )
    if allowed != origin:
        return "The 'Access-Control-Allow-Origin' header has another value than the origin."
    if credentials == "include" and headers.get("Access-Control-Allow-Credentials") != "true":
        return (
            "The value of the 'Access-Control-Allow-Credentials' header in the response is '' "
            "which must be 'true' when the request's credentials mode is 'include'."
        )
    return ""


def try_cors(given: dict[str, Any]) -> str:
    """Does what a browser does for pages of several origins."""
    usual = [
        "corsheaders.middleware.CorsMiddleware",
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
    ]
    credentials = given.pop("credentials")
    settings = {"MIDDLEWARE": usual, "SESSION_COOKIE_SECURE": True} | given
    site(
        ROOT_URLCONF=sys.modules["__main__"],
        INSTALLED_APPS=[
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "django.contrib.sessions",
            "corsheaders",
        ],
        **settings,
    )
    from django.contrib.auth.models import User
    from django.core import checks
    from django.test import Client
    from django.urls import path

    sys.modules["__main__"].urlpatterns = [path("me", me)]  # type: ignore[attr-defined]
    for found in checks.run_checks():
        if found.is_serious():
            raise NotYet(f"manage.py check says: {found.id}: {found.msg}")
    amina = User.objects.create_user("amina", None, "quiet", first_name="Amina")
    browser = Client()
    browser.force_login(amina)
    samesite = str(settings.get("SESSION_COOKIE_SAMESITE", "Lax"))
    page = "https://app.stays.example"

    form = "name=Mud"

    def ask(method: str, origin: str, mode: str, cookies: Any, **headers: Any) -> Any:  # noqa: ANN401
        """One request of a browser's, and the response."""
        client = Client(enforce_csrf_checks=True, headers={"host": "api.stays.example"})
        if samesite == "None" and not settings["SESSION_COOKIE_SECURE"]:
            raise NotYet("a browser takes SameSite=None only from a cookie that is Secure")
        if mode == "include" and (samesite == "None" or is_same_site(origin)):
            for name, morsel in cookies.items():
                client.cookies[name] = morsel.value
        options = {"secure": True, "headers": {"origin": origin} | headers}
        if method == "POST":
            kind = headers.get("content-type", "application/json")
            body = form if "form" in kind else json.dumps({"name": "Amina K."})
            return sent(method, client.post, "/me", body, content_type=kind, **options)
        return sent(method, getattr(client, method.lower()), "/me", **options)

    def name_in(response: Any) -> str:  # noqa: ANN401
        """Whom the API took the sender for."""
        kind = response.headers.get("Content-Type", "")
        return response.json()["name"] if kind == "application/json" else ""

    def is_same_site(origin: str) -> bool:
        """Whether a page's requests carry cookies with SameSite=Lax."""
        return origin.startswith("https://") and origin.endswith(".stays.example")

    seen = ask("GET", page, credentials, browser.cookies)
    if why := is_shared(page, credentials, seen.headers):
        raise NotYet(f"GET of {page}: the browser keeps the response from the page. {why}")
    if seen.status_code != 200:
        raise NotYet(f"GET of {page} gets {seen.status_code}")
    if name_in(seen) != "Amina":
        raise NotYet(
            f"GET of {page}: 200, and the page reads {name_in(seen)}: with credentials "
            f"{credentials!r} the browser sends no cookie to another origin"
        )
    for origin in (
        "https://evil.example",
        "https://blog.stays.example",
        "http://app.stays.example",
        "https://app.stays.example:8443",
        "https://app.stays.example.evil.example",
        "https://evil-app.stays.example",
        "https://appxstays.example",
        "null",
    ):
        stranger = ask("GET", origin, "include", browser.cookies)
        if not is_shared(origin, "include", stranger.headers):
            raise NotYet(
                f"a page of {origin} may read the answer, with the cookies of who visits it: "
                "allow one origin, https://app.stays.example"
            )
        if origin == "https://evil.example" and name_in(stranger) == "Amina":
            raise NotYet(
                f"the request of a page of {origin} arrives as Amina's, because the cookie has "
                "SameSite=None. Page and API are one site, and Lax is enough"
            )
    tokens = dict(browser.cookies) | dict(seen.cookies)
    question = {
        "access-control-request-method": "POST",
        "access-control-request-headers": "content-type,x-csrftoken",
    }
    answer = ask("OPTIONS", page, "omit", {}, **question)
    if not 200 <= answer.status_code < 300:
        raise NotYet(f"the preflight of a POST gets {answer.status_code}")
    if why := is_shared(page, credentials, answer.headers):
        raise NotYet(f"the preflight of a POST: {why}")
    words = {
        name: {word.strip().lower() for word in answer.headers.get(name, "").split(",")}
        for name in ("Access-Control-Allow-Methods", "Access-Control-Allow-Headers")
    }
    if "post" not in words["Access-Control-Allow-Methods"]:
        raise NotYet("the preflight of a POST: Access-Control-Allow-Methods has no POST")
    for name in ("content-type", "x-csrftoken"):
        if name not in words["Access-Control-Allow-Headers"]:
            raise NotYet(f"the preflight of a POST: Access-Control-Allow-Headers has no {name}")
    token = {"x-csrftoken": seen.json()["token"]}
    done = ask("POST", page, credentials, tokens, **token)
    if done.status_code != 200:
        reason = "CSRF" if done.status_code == 403 else "the answer"
        raise NotYet(
            f"POST of {page} gets {done.status_code}: {reason} refuses the request of another "
            "origin than the API's own. Which setting names the origins that you trust?"
        )
    if why := is_shared(page, credentials, done.headers):
        raise NotYet(f"POST of {page}: {why}")
    if name_in(done) != "Amina K.":
        raise NotYet(f"POST of {page}: 200, and the name is {name_in(done)}")
    kind = {"content-type": "application/x-www-form-urlencoded"}
    for origin in ("https://blog.stays.example", "https://evil.example"):
        ask("POST", origin, "include", tokens, **kind)
        amina.refresh_from_db()
        if amina.first_name == "Mud":
            raise NotYet(
                f"a form on a page of {origin} has changed Amina's name: keep CSRF's check"
            )
    cookie = tokens.get(str(settings.get("CSRF_COOKIE_NAME", "csrftoken")))
    form += f"&csrfmiddlewaretoken={cookie.value if cookie else ''}"
    ask("POST", "https://blog.stays.example", "include", tokens, **kind)
    amina.refresh_from_db()
    if amina.first_name == "Mud":
        raise NotYet(
            "a page of https://blog.stays.example can set a CSRF cookie for all of stays.example. "
            "It did, and its form has changed Amina's name: trust https://app.stays.example alone"
        )
    return (
        "the page reads and writes as Amina, after a preflight; the pages of eight other origins "
        "read nothing, and a forged form changes nothing"
    )


# -- 3: /api/api/ and the slash

GIVEN_3 = {
    "api.py": """
from desk.views import Bookings
from rest_framework.routers import SimpleRouter

router = SimpleRouter()
router.register("api/bookings", Bookings)
urlpatterns = router.urls
""",
    "urls.py": """
from django.urls import include, path

urlpatterns = [path("api/", include("api"))]
""",
}

DESK = {
    "desk/__init__.py": "",
    "desk/models.py": """
from django.db import models


class Booking(models.Model):
    guest = models.CharField(max_length=40)
""",
    "desk/views.py": """
from rest_framework import serializers, viewsets

from desk.models import Booking


class BookingSerializer(serializers.ModelSerializer):
    class Meta:
        model = Booking
        fields = ["id", "guest"]


class Bookings(viewsets.ModelViewSet):
    queryset = Booking.objects.order_by("id")
    serializer_class = BookingSerializer
""",
}


@judge(
    "challenges-apis.3",
    takes=dict,
    called="a dictionary of file names and their texts",
    hint="give a dictionary with api.py, urls.py and their texts",
    stub=GIVEN_3,
)
def slash(answer: dict[str, str]) -> str:
    """The address is there once, and what a client posts arrives."""
    _checked(answer, "api.py", "urls.py")
    if taken := sorted(set(answer) & set(DESK)):
        raise NotYet(f"{taken[0]} is as it should be: leave it")
    return _tried(try_addresses, {**answer, **DESK}, "settings.py" in answer)


def try_addresses(has_settings: bool) -> str:
    """Asks as a client does that follows redirects."""
    import importlib

    more = {}
    if has_settings:
        own = sent("settings.py", importlib.import_module, "settings")
        more = {name: getattr(own, name) for name in dir(own) if name.isupper()}
    middleware = ["django.middleware.common.CommonMiddleware"]
    site(
        **{
            "ROOT_URLCONF": "urls",
            "MIDDLEWARE": middleware,
            "REST_FRAMEWORK": {
                "DEFAULT_AUTHENTICATION_CLASSES": [],
                "UNAUTHENTICATED_USER": None,
                "TEST_REQUEST_DEFAULT_FORMAT": "json",
            },
        }
        | more,
        INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "desk"],
    )
    from desk.models import Booking  # type: ignore[import-not-found]
    from django.test import Client, override_settings

    Booking.objects.create(guest="Amina")

    def ask(method: str, address: str, guest: str = "") -> tuple[int, list[str], Any]:
        """The last status, the redirects on the way, and the last response."""
        client = Client()
        way: list[str] = []
        for _ in range(5):
            options = {"content_type": "application/json"} if method == "POST" else {}
            data = json.dumps({"guest": guest}) if method == "POST" else None
            call = getattr(client, method.lower())
            response = sent(f"{method} {address}", call, address, data, **options)
            if response.status_code not in (301, 302, 303, 307, 308):
                return response.status_code, way, response
            address = response.headers["Location"]
            way.append(f"{response.status_code} to {address}")
            if method == "POST" and response.status_code < 307:
                method = "GET"  # as browsers, httpx and requests do
        raise NotYet(f"{method} {address}: redirects without end")

    status, _, response = ask("GET", "/api/bookings")
    doubled = [
        address
        for address in ("/api/api/bookings", "/api/api/bookings/")
        if ask("GET", address)[0] == 200
    ]
    if status != 200:
        there = f", and {doubled[-1]} answers: where is the prefix added twice?" if doubled else ""
        raise NotYet(f"GET /api/bookings gets {status}{there}")
    if [row.get("guest") for row in response.json()] != ["Amina"]:
        raise NotYet("GET /api/bookings does not list the bookings")
    if doubled:
        raise NotYet(f"{doubled[-1]} answers too: one thing should have one address")
    for debug in (False, True):
        with override_settings(DEBUG=debug):
            status, way, response = ask("POST", "/api/bookings", "Bode")
        if way and not Booking.objects.filter(guest="Bode").exists():
            raise NotYet(
                f"POST /api/bookings gets {way[0]}, and the client repeats it as a GET, without "
                f"its body. The client sees {status}, and nothing was stored"
            )
        if status != 201:
            raise NotYet(f"POST /api/bookings gets {status}, and not 201 (DEBUG is {debug})")
        if Booking.objects.filter(guest="Bode").count() != 1:
            raise NotYet("POST /api/bookings gets 201, and not one booking was stored")
        number = Booking.objects.get(guest="Bode").id
        one = f"/api/bookings/{number}"
        with override_settings(DEBUG=debug):
            status, _, response = ask("GET", one)
            if status != 200 or response.json().get("guest") != "Bode":
                raise NotYet(
                    f"a booking was stored, and GET of /api/bookings/<its id> gets {status}"
                )
            if (status := ask("DELETE", one)[0]) != 204:
                raise NotYet(f"DELETE of /api/bookings/<its id> gets {status}, and not 204")
    for address in ("/api/bookingsx", "/xapi/bookings", "/bookings", "/api/bookings/x/y"):
        if (status := ask("GET", address)[0]) != 404:
            raise NotYet(f"GET {address} gets {status}: nobody has this address")
    status, way, _ = ask("POST", "/api/bookings/", "Chidi")
    if status < 400 and not Booking.objects.filter(guest="Chidi").exists():
        raise NotYet(f"POST /api/bookings/ gets {way[0] if way else status}, and stores nothing")
    if status >= 500:
        raise NotYet(f"POST /api/bookings/, with a slash, gets {status}")
    return (
        "GET, POST and DELETE under /api/bookings arrive and do what they say, with DEBUG and "
        "without it, and nothing answers under /api/api/"
    )


# -- 4: the circle of imports

GIVEN_4 = {
    "desk/__init__.py": "from desk.services import book",
    "desk/models.py": """
from django.core.exceptions import ValidationError
from django.db import models
from desk.services import is_free

class Booking(models.Model):
    night = models.DateField()

    def clean(self):
        if not is_free(self.night):
            raise ValidationError("this night is taken")
""",
    "desk/services.py": """
from desk.models import Booking

def is_free(night):
    return not Booking.objects.filter(night=night).exists()

def book(night):
    return Booking.objects.create(night=night)
""",
}


@judge(
    "challenges-apis.4",
    takes=dict,
    called="a dictionary of file names and their texts",
    hint="give a dictionary with the three files of desk and their texts",
    stub=GIVEN_4,
)
def circle(answer: dict[str, str]) -> str:
    """Django starts with the application, which does what it did."""
    _checked(answer, *GIVEN_4)
    return _tried(try_imports, answer)


def try_imports() -> str:
    """Starts Django and uses the application."""
    import builtins
    import importlib
    from datetime import date

    edges: set[tuple[str, str]] = set()
    statement = builtins.__import__

    def note(name: str, names: Any = None, *more: Any, **rest: Any) -> Any:  # noqa: ANN401
        importer, level = (names or {}).get("__name__", ""), more[2:3] or (rest.get("level", 0),)
        whole = f"desk.{name}".rstrip(".") if level[0] else name
        if importer.startswith("desk") and whole.startswith("desk"):
            parts = more[1] if len(more) > 1 else rest.get("fromlist")
            whole = [f"desk.{part}" for part in parts or ()] if whole == "desk" else [whole]  # type: ignore[assignment]
            edges.update((importer, one) for one in whole)
        return statement(name, names, *more, **rest)

    builtins.__import__ = note  # type: ignore[assignment]
    sent("Django starts", site, INSTALLED_APPS=["desk"])
    from django.apps import apps
    from django.core.exceptions import ValidationError
    from django.core.management import call_command

    sent("manage.py check", call_command, "check", verbosity=0)
    services = sent("desk.services", importlib.import_module, "desk.services")
    models = sent("desk.models", importlib.import_module, "desk.models")
    for module, name in ((services, "is_free"), (services, "book"), (models, "Booking")):
        if not hasattr(module, name):
            raise NotYet(
                f"{module.__name__} has no {name} any more, and others import it from there"
            )
    known = [model for model in apps.get_models() if model.__name__ == "Booking"]
    if len(known) != 1 or known[0] is not models.Booking:
        raise NotYet("there must be one model Booking, in desk.models")
    one, two = date(2026, 12, 31), date(2027, 1, 1)

    def is_free(night: date) -> bool:
        return bool(sent("is_free", services.is_free, night))

    def is_clean(night: date | None) -> bool:
        try:
            models.Booking(night=night).full_clean()
        except ValidationError:
            return False
        return True

    def expect(what: str, *free: bool) -> None:
        """Compares what is_free and full_clean say of the two nights."""
        for night, wanted in zip((one, two), free, strict=True):
            word = "free" if wanted else "taken"
            if is_free(night) is not wanted:
                raise NotYet(f"{what} a night is {word}, and is_free does not say so")
            if sent("full_clean", is_clean, night) is not wanted:
                raise NotYet(f"{what} a night is {word}, and full_clean does not say so")

    expect("before anything is booked,", True, True)
    booking = sent("book", services.book, one)
    if not isinstance(booking, models.Booking) or models.Booking.objects.count() != 1:
        raise NotYet("book does not return a booking that is in the table")
    expect("after one was booked,", False, True)
    if sent("full_clean", is_clean, None):
        raise NotYet(
            "full_clean accepts a booking without a night: Django's own checks are gone. Keep "
            "yours in clean()"
        )
    booking.delete()
    expect("when the booking is deleted,", True, True)
    back = {(one, other) for one, other in edges if (other, one) in edges and one != other}
    if back:
        return (
            "Django starts, and a taken night is refused; but desk.models and desk.services still "
            "need each other: one only imports the other later"
        )
    return "Django starts, a taken night is refused, and the imports point one way"


# -- 5: N+1 in a resolver

GIVEN_5 = """
async def author(review, info):
    people = await info.context["people"]([review.author_id])
    return people[0] if people else None
"""

Resolver = Callable[[Any, Any], Awaitable[object]]


@dataclass(frozen=True)
class Row:
    """A person, as the database has it."""

    id: int
    name: str


@dataclass
class Database:
    """What answers the statements of one request, and counts them.

    Attributes:
        people: by id; an exception in the place of them is raised.
        asked: the ids of each statement.
    """

    people: Mapping[int, str] | Exception
    asked: list[list[int]]

    async def select(self, ids: Sequence[int]) -> list[Row]:
        """The people who are there, in an order that nobody promised."""
        self.asked.append(list(ids))
        await asyncio.sleep(0)
        if isinstance(self.people, Exception):
            raise self.people
        return [Row(key, self.people[key]) for key in sorted(set(ids) & set(self.people))][::-1]


@judge(
    "challenges-apis.5",
    takes=Callable,  # type: ignore[arg-type]
    called="a function",
    hint="give the resolver: an async function of a review and info, which returns its author",
    stub=GIVEN_5,
)
def n_plus_one(answer: Resolver) -> str:
    """One statement for the authors of a list, whatever its length, in each request anew."""
    names = {1: "Amina", 2: "Bode", 3: "Chidi", 4: "Dalila", 70: "Esi"}
    _expect(answer, names, [3, 1, 2], "three reviews by three authors")
    _expect(answer, names, [4, 1, 4, 4, 1], "five reviews by two authors")
    _expect(answer, names, [70, 50, 1], "three reviews, and one author whose account is gone")
    _expect(answer, names, [2], "one review")
    many = {key: f"person {key}" for key in range(1, 301)}
    _expect(answer, many, list(range(300, 0, -1)), "three hundred reviews")
    new = {key: f"{name} (new)" for key, name in names.items()}
    _expect(answer, new, [3, 1, 2], "the authors have new names, and a new request comes")
    _two_requests(answer, names, new)
    broken = Database(ConnectionError("the database cannot be reached"), [])
    data, errors = _asked(answer, broken, [1, 2])
    if "cannot be reached" not in " ".join(errors):
        raise NotYet(
            f"the database cannot be reached, and the answer has {data} and no error: let the "
            "error through, because an author who is missing looks the same"
        )
    return (
        "one statement gives the authors of one review or of three hundred, each at its review; "
        "no request gets what another one has loaded"
    )


def _expect(answer: Resolver, names: Mapping[int, str], ids: list[int], what: str) -> None:
    """Asks for reviews and their authors.

    Raises:
        NotYet: if the authors are not right, or there are too many statements.
    """
    source = Database(names, [])
    data, errors = _asked(answer, source, ids)
    if any(" loop" in error for error in errors):
        raise NotYet(
            f"{what}: {errors[0]}. A loader must not outlive its request: keep it in info.context"
        )
    if errors:
        raise NotYet(f"{what}: {errors[0]}")
    expected = [names.get(key) for key in ids]
    _same(data, expected, what)
    if len(source.asked) > 1:
        raise NotYet(
            f"{what}: {len(source.asked)} statements for the authors. Collect the ids, and send "
            "one statement for all"
        )
    if not source.asked:
        raise NotYet(f"{what}: no statement was sent. Ask the database in each request")
    if more := sorted(set(source.asked[0]) - set(ids)):
        raise NotYet(f"{what}: it also asks for people that nobody needs, such as {more[:2]}")


def _same(data: list[str | None], expected: list[str | None], what: str) -> None:
    """Compares the authors with who they are.

    Raises:
        NotYet: if they differ.
    """
    for number, (got, wanted) in enumerate(zip(data, expected, strict=True), 1):
        if got != wanted:
            raise NotYet(
                f"{what}: the author of review {number} should be {wanted}, and is {got}. A row "
                "belongs to the review whose author_id is its id"
            )


def _two_requests(answer: Resolver, names: Mapping[int, str], new: Mapping[int, str]) -> None:
    """Lets two requests run at once, in one event loop.

    Raises:
        NotYet: if one gets what the other one has loaded.
    """
    first, second = Database(names, []), Database(new, [])

    async def both() -> list[tuple[list[str | None], list[str]]]:
        return list(
            await asyncio.gather(_execute(answer, first, [1, 2]), _execute(answer, second, [2, 3]))
        )

    results = cast(list[tuple[list[str | None], list[str]]], _in_time(both))
    for (data, errors), people, ids in zip(results, (names, new), ([1, 2], [2, 3]), strict=True):
        if errors:
            raise NotYet(f"two requests at once: {errors[0]}")
        if data != [people[key] for key in ids]:
            raise NotYet(
                "two requests run at once, and one gets what was loaded for the other: keep the "
                "loader in info.context, which belongs to one request"
            )


def _asked(
    answer: Resolver, source: Database, ids: list[int]
) -> tuple[list[str | None], list[str]]:
    """The authors' names, and the errors; within the time that an answer has."""
    return cast(tuple[list[str | None], list[str]], _in_time(lambda: _execute(answer, source, ids)))


def _in_time(begin: Callable[[], Coroutine[Any, Any, object]]) -> object:
    """Runs a coroutine in an event loop of its own, within the time that an answer has."""
    try:
        return within(lambda: asyncio.run(begin()))
    except NotYet:
        # What ended it may be kept by a circle of the loop's objects, and must not end the next.
        gc.collect()
        raise


def _told(error: BaseException) -> str:
    """The error's message; a KeyError's is only the key, so its name goes before it."""
    name = "KeyError: " if isinstance(error, KeyError) else ""
    return name + first_line(error)


async def _execute(
    answer: Resolver, source: Database, ids: list[int]
) -> tuple[list[str | None], list[str]]:
    """Executes a document for some reviews."""
    import strawberry

    @strawberry.type
    class Person:
        name: str

    @strawberry.type
    class Review:
        author_id: strawberry.Private[int]

        @strawberry.field
        async def author(self, info: strawberry.Info) -> Person | None:
            got: Any = answer(self, info)
            got = await got if inspect.isawaitable(got) else got
            if got is not None and not isinstance(got, Row):
                raise TypeError(
                    f"the resolver should return one of the rows, or None; it returned a "
                    f"{type(got).__name__}"
                )
            return got  # type: ignore[return-value]

    @strawberry.type
    class Query:
        @strawberry.field
        def reviews(self) -> list[Review]:
            return [Review(author_id=key) for key in ids]

    logging.getLogger("strawberry.execution").disabled = True  # of what the judge expects
    result = await strawberry.Schema(Query).execute(
        "{ reviews { author { name } } }", context_value={"people": source.select}
    )
    rows = (result.data or {}).get("reviews") or [{} for _ in ids]
    return (
        [(row.get("author") or {}).get("name") for row in rows],
        [_told(error.original_error or error) for error in result.errors or ()],
    )


OF: Mapping[Callable[..., str], Sequence[Callable[..., Any]]] = {
    try_tokens: (forgiving,),
    try_cors: (me, is_shared),
    try_addresses: (),
    try_imports: (),
}
"""What each trial needs besides, in the other interpreter."""
