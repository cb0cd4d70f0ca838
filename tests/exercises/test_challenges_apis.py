"""The judges of "Challenges with APIs": the stub, right answers of several kinds, wrong ones."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from types import SimpleNamespace
from typing import Any

import strawberry
from strawberry.dataloader import DataLoader

from nexus.exercises.challenges_apis import GIVEN_1, GIVEN_2, GIVEN_3, GIVEN_4, GIVEN_5
from nexus.judging import judge_answer
from tests.exercises import tables


def changed(text: str, *changes: tuple[str, str]) -> str:
    """A text in which some words are others; each must be there."""
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    return text


# -- 1: the token

SESSION = changed(
    GIVEN_1,
    (
        "    return RefreshToken.for_user(user)",
        '    token = RefreshToken.for_user(user)\n    token["session"] = token["jti"]\n'
        "    return token",
    ),
)
LOOKS = """    def get_validated_token(self, raw_token):
        from rest_framework_simplejwt.exceptions import InvalidToken
        from rest_framework_simplejwt.token_blacklist.models import BlacklistedToken
        token = super().get_validated_token(raw_token)
        if CONDITION:
            raise InvalidToken("the session has ended")
        return token
"""


def looking(condition: str, text: str = SESSION) -> str:
    """The module with an authentication that refuses a token."""
    return changed(text, ("    pass\n", LOOKS.replace("CONDITION", condition)))


BLACK = 'BlacklistedToken.objects.filter(token__jti=token.get("session")).exists()'
IN_ROWS = """
from django.contrib.sessions.backends.db import SessionStore
from rest_framework.exceptions import AuthenticationFailed
from rest_framework_simplejwt.authentication import JWTAuthentication
from rest_framework_simplejwt.tokens import RefreshToken

def log_in(user):
    row = SessionStore()
    row["user"] = user.pk
    row.create()
    token = RefreshToken.for_user(user)
    token["row"] = row.session_key
    return token

def log_out(refresh):
    token = RefreshToken(refresh)
    SessionStore().delete(token["row"])
    token.blacklist()

class Authentication(JWTAuthentication):
    def authenticate(self, request):
        found = super().authenticate(request)
        if found and not SessionStore().exists(found[1].get("row") or "none"):
            raise AuthenticationFailed("logged out")
        return found
"""
IN_MEMORY = changed(
    looking('token.get("session") in GONE'),
    ("def log_in", "GONE = set()\n\ndef log_in"),
    (".blacklist()", ".blacklist()\n    GONE.add(RefreshToken(refresh, verify=False)['session'])"),
)
IN_CACHE = changed(
    looking('cache.get(token.get("session") or "none")'),
    ("def log_in", "from django.core.cache import cache\n\ndef log_in"),
    (".blacklist()", ".blacklist()\n    cache.set(RefreshToken(refresh, verify=False)['jti'], 1)"),
)
OF_USER = 'BlacklistedToken.objects.filter(token__user_id=token["user_id"]).exists()'
DEACTIVATES = changed(
    GIVEN_1,
    (
        "    RefreshToken(refresh).blacklist()",
        "    from django.contrib.auth.models import User\n"
        "    token = RefreshToken(refresh)\n"
        "    User.objects.filter(pk=token['user_id']).update(is_active=False)\n"
        "    token.blacklist()",
    ),
)
UNSIGNED = changed(
    SESSION,
    (
        "    pass\n",
        "    def get_validated_token(self, raw_token):\n"
        "        from rest_framework_simplejwt.exceptions import InvalidToken\n"
        "        from rest_framework_simplejwt.token_blacklist.models import BlacklistedToken\n"
        "        from rest_framework_simplejwt.tokens import AccessToken\n"
        "        import jwt\n"
        "        try:\n"
        "            token = jwt.decode(raw_token, options={'verify_signature': False})\n"
        "        except jwt.InvalidTokenError as error:\n"
        "            raise InvalidToken(str(error))\n"
        f"        if {BLACK}:\n"
        '            raise InvalidToken("the session has ended")\n'
        "        return token\n",
    ),
)
ALSO_INACTIVE = (
    looking(BLACK)
    + """
    def get_user(self, token):
        from django.contrib.auth.models import User
        return User.objects.get(pk=token["user_id"])
"""
)
DELETES = changed(
    looking(
        'not OutstandingToken.objects.filter(jti=token.get("session")).exists()',
        changed(
            SESSION,
            (
                "    RefreshToken(refresh).blacklist()",
                "    jti = RefreshToken(refresh)['jti']\n"
                "    OutstandingToken.objects.filter(jti=jti).delete()",
            ),
        ),
    ),
    (
        "import BlacklistedToken",
        "import OutstandingToken",
    ),
    (
        "    jti = ",
        "    from rest_framework_simplejwt.token_blacklist.models import OutstandingToken\n"
        "    jti = ",
    ),
)

# -- 2: the page

RIGHT_2: dict[str, Any] = {
    "credentials": "include",
    "CORS_ALLOWED_ORIGINS": ["https://app.stays.example"],
    "CORS_ALLOW_CREDENTIALS": True,
    "CSRF_TRUSTED_ORIGINS": ["https://app.stays.example"],
}
PATTERN = {
    "credentials": "include",
    "CORS_ALLOWED_ORIGIN_REGEXES": [r"^https://app\.stays\.example$"],
    "CORS_ALLOW_CREDENTIALS": True,
    "CSRF_TRUSTED_ORIGINS": ["https://app.stays.example"],
    "SESSION_COOKIE_SAMESITE": "Strict",
}
NO_CSRF = [
    "corsheaders.middleware.CorsMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
]
# -- 3: the address

ONE_PREFIX = ('"api/bookings"', '"bookings"')
NO_SLASH = ("SimpleRouter()", "SimpleRouter(trailing_slash=False)")


def addresses(*changes: tuple[str, str], **more: str) -> dict[str, str]:
    """The two files, with changes in api.py, and others."""
    return GIVEN_3 | {"api.py": changed(GIVEN_3["api.py"], *changes)} | more


LISTED = """
from desk.views import Bookings
from django.urls import path

urlpatterns = [
    path("bookings", Bookings.as_view({"get": "list", "post": "create"})),
    ONE
]
"""
ONE = 'path("bookings/<int:pk>", Bookings.as_view({"get": "retrieve", "delete": "destroy"})),'
EITHER = """
from desk.views import Bookings
from rest_framework.routers import SimpleRouter

router = SimpleRouter()
router.trailing_slash = "/?"
router.register("bookings", Bookings)
urlpatterns = router.urls
"""
REDIRECT = """
from django.urls import include, path, re_path
from django.views.generic import RedirectView


class Slash(RedirectView):
    permanent = True

    def get_redirect_url(self, *args, **kwargs):
        return self.request.path + "/"


urlpatterns = [
    re_path("^api/bookings(/[0-9]+)?$", Slash.as_view()),
    path("api/", include("api")),
]
"""
KEEPING = changed(
    REDIRECT,
    (
        "    permanent = True\n",
        "    def dispatch(self, request, *args, **kwargs):\n"
        "        from django.http import HttpResponse\n"
        "        where = {'Location': request.path + '/'}\n"
        "        return HttpResponse(status=308, headers=where)\n",
    ),
)
PRETENDS = """
from django.http import JsonResponse
from django.urls import path


def bookings(request):
    if request.method == "POST":
        return JsonResponse({"guest": "Bode"}, status=201)
    return JsonResponse([{"id": 1, "guest": "Amina"}], safe=False)


urlpatterns = [path("bookings", bookings)]
"""
BOTH = """
from django.urls import include, path

urlpatterns = [path("api/", include("api")), path("api/api/", include("api"))]
"""
LOOSE = """
from desk.views import Bookings
from django.urls import re_path

urlpatterns = [
    re_path("bookings/(?P<pk>[0-9]+)$",
        Bookings.as_view({"get": "retrieve", "delete": "destroy"})),
    re_path("bookings", Bookings.as_view({"get": "list", "post": "create"})),
]
"""

# -- 4: the imports

FREE = """
from django.core.exceptions import ValidationError
from django.db import models

def is_free(night):
    return not Booking.objects.filter(night=night).exists()

class Booking(models.Model):
    night = models.DateField()

    def clean(self):
        if not is_free(self.night):
            raise ValidationError("this night is taken")
"""
USES = """
from desk.models import Booking, is_free

def book(night):
    return Booking.objects.create(night=night)
"""
EMPTY = ("desk/__init__.py", "")
LATE = changed(
    GIVEN_4["desk/models.py"],
    ("from desk.services import is_free\n", ""),
    ("        if not", "        from desk.services import is_free\n        if not"),
)
WHOLE_MODULE = changed(
    GIVEN_4["desk/models.py"],
    ("from desk.services import is_free", "import desk.services"),
    ("not is_free(", "not desk.services.is_free("),
)


def package(**files: str) -> dict[str, str]:
    """The three files, some of which are others."""
    return GIVEN_4 | {f"desk/{name}.py": text for name, text in files.items()}


ONE_PACKAGE = {
    "desk/__init__.py": "",
    "desk/models.py": changed(FREE, ("def is_free(night):", "def _is_free(night):"))
    .replace("not is_free", "not _is_free"),
    "desk/selectors.py": "from desk.models import _is_free as is_free\n",
    "desk/services.py": changed(
        USES, ("Booking, is_free", "Booking\nfrom desk.selectors import is_free")
    ),
}  # fmt: skip

# -- 5: the resolver


async def loader(review: SimpleNamespace, info: strawberry.Info) -> object:
    async def load(ids: list[int]) -> list[object]:
        found = {person.id: person for person in await info.context["people"](ids)}
        return [found.get(number) for number in ids]

    return await info.context.setdefault("author", DataLoader(load)).load(review.author_id)


async def by_hand(review: SimpleNamespace, info: strawberry.Info) -> object:
    """Waits one turn of the loop, until all reviews have said what they need."""
    wanted = info.context.setdefault("wanted", set())
    wanted.add(review.author_id)
    if "found" not in info.context:

        async def fetch() -> dict[int, object]:
            await asyncio.sleep(0)
            return {person.id: person for person in await info.context["people"](sorted(wanted))}

        info.context["found"] = asyncio.ensure_future(fetch())
    return (await info.context["found"]).get(review.author_id)


kept: dict[str, Any] = {}


async def for_ever(review: SimpleNamespace, info: strawberry.Info) -> object:
    async def load(ids: list[int]) -> list[object]:
        found = {person.id: person for person in await info.context["people"](ids)}
        return [found.get(number) for number in ids]

    if "loader" not in kept:
        kept["loader"] = DataLoader(load)
    return await kept["loader"].load(review.author_id)


async def remembering(review: SimpleNamespace, info: strawberry.Info) -> object:
    known = kept.setdefault("people", {})
    if review.author_id not in known:
        people = await info.context["people"]([review.author_id])
        known[review.author_id] = people[0] if people else None
    return known[review.author_id]


async def one_each(review: SimpleNamespace, info: strawberry.Info) -> object:
    async def load(ids: list[int]) -> list[object]:
        found = {person.id: person for person in await info.context["people"](ids)}
        return [found.get(number) for number in ids]

    return await DataLoader(load).load(review.author_id)


async def in_their_order(review: SimpleNamespace, info: strawberry.Info) -> object:
    loader = info.context.setdefault("author", DataLoader(info.context["people"]))
    return await loader.load(review.author_id)


async def padded(review: SimpleNamespace, info: strawberry.Info) -> object:
    async def load(ids: list[int]) -> list[object]:
        rows = sorted(await info.context["people"](ids), key=lambda row: row.id)
        order = sorted(ids)
        return [rows[order.index(number)] if len(rows) > order.index(number) else None
                for number in ids]  # fmt: skip

    return await info.context.setdefault("author", DataLoader(load)).load(review.author_id)


async def all_are_there(review: SimpleNamespace, info: strawberry.Info) -> object:
    async def load(ids: list[int]) -> list[object]:
        found = {person.id: person for person in await info.context["people"](ids)}
        return [found[number] for number in ids]

    return await info.context.setdefault("author", DataLoader(load)).load(review.author_id)


async def swallowing(review: SimpleNamespace, info: strawberry.Info) -> object:
    async def load(ids: list[int]) -> list[object]:
        try:
            found = {person.id: person for person in await info.context["people"](ids)}
        except Exception:
            found = {}
        return [found.get(number) for number in ids]

    return await info.context.setdefault("author", DataLoader(load)).load(review.author_id)


async def everybody(review: SimpleNamespace, info: strawberry.Info) -> object:
    async def load(ids: list[int]) -> list[object]:
        found = {person.id: person for person in await info.context["people"](range(1000))}
        return [found.get(number) for number in ids]

    return await info.context.setdefault("author", DataLoader(load)).load(review.author_id)


async def a_name(review: SimpleNamespace, info: strawberry.Info) -> object:
    got: Any = await loader(review, info)
    return got and got.name


async def nobody(review: SimpleNamespace, info: strawberry.Info) -> object:
    del review, info
    return None


async def asleep(review: SimpleNamespace, info: strawberry.Info) -> object:
    del review, info
    time.sleep(60)
    return None


async def crossed(review: SimpleNamespace, info: strawberry.Info) -> object:
    """Keeps the newest request's source for all."""
    kept["source"] = info.context["people"]

    async def load(ids: list[int]) -> list[object]:
        await asyncio.sleep(0.01)
        found = {person.id: person for person in await kept["source"](ids)}
        return [found.get(number) for number in ids]

    return await info.context.setdefault("author", DataLoader(load)).load(review.author_id)


RIGHT: list[tuple[str, object]] = [
    ("challenges-apis.1", looking(BLACK)),
    ("challenges-apis.1", IN_ROWS),
    ("challenges-apis.2", RIGHT_2),
    ("challenges-apis.2", PATTERN),
    ("challenges-apis.3", addresses(ONE_PREFIX, NO_SLASH)),
    ("challenges-apis.3", GIVEN_3 | {"api.py": LISTED.replace("ONE", ONE)}),
    ("challenges-apis.3", GIVEN_3 | {"api.py": EITHER}),
    ("challenges-apis.3", addresses(ONE_PREFIX) | {"urls.py": KEEPING}),
    ("challenges-apis.4", package(__init__="", models=FREE, services=USES)),
    ("challenges-apis.4", ONE_PACKAGE),
    ("challenges-apis.4", package(__init__="", models=LATE)),
    ("challenges-apis.5", loader),
    ("challenges-apis.5", by_hand),
]

NOT_YET: list[tuple[str, object, str]] = [
    ("challenges-apis.1", None, "give the text of tokens.py"),
    ("challenges-apis.1", {}, "this is of type dict"),
    ("challenges-apis.1", GIVEN_1, "the access token still gets in"),
    ("challenges-apis.1", "def log_in(", "was never closed"),
    ("challenges-apis.1", "import os; os._exit(0)", "it ended before it was tried"),
    ("challenges-apis.1", "def log_in(user): pass", "there is no log_out in it"),
    ("challenges-apis.1", SESSION, "the access token still gets in"),
    # The access token's own jti is in no table.
    (
        "challenges-apis.1",
        looking("BlacklistedToken.objects.filter(token__jti=token['jti']).exists()"),
        "the access token still gets in",
    ),
    ("challenges-apis.1", IN_MEMORY, "in the memory of one process"),
    ("challenges-apis.1", IN_CACHE, "in the memory of one process"),
    ("challenges-apis.1", looking(OF_USER), "which is another log-in, gets 401 too"),
    ("challenges-apis.1", DEACTIVATES, "which is another log-in, gets 401 too"),
    (
        "challenges-apis.1",
        changed(looking(BLACK), ("InvalidToken", "PermissionDenied")).replace(
            "rest_framework_simplejwt.exceptions", "rest_framework.exceptions"
        ),
        "the access token gets 403, and not 401",
    ),
    ("challenges-apis.1", UNSIGNED, "a token whose signature is wrong gets amina"),
    ("challenges-apis.1", ALSO_INACTIVE, "a user was deactivated"),
    ("challenges-apis.1", DELETES, "still gets a new access token"),
    (
        "challenges-apis.1",
        looking(BLACK.replace('.get("session")', '["session"]')),
        "issued before your change, and has no new claim: it raised KeyError",
    ),
    (
        "challenges-apis.1",
        changed(
            looking(BLACK),
            (
                "    RefreshToken(refresh).blacklist()",
                "    try:\n        refresh.blacklist()\n    except Exception:\n        pass",
            ),
        ),
        "the access token still gets in",
    ),
    ("challenges-apis.2", None, "give a dictionary with credentials"),
    ("challenges-apis.2", [], "this is of type list"),
    ("challenges-apis.2", GIVEN_2, "the page reads AnonymousUser"),
    ("challenges-apis.2", GIVEN_2 | {"credentials": True}, "omit, same-origin or include"),
    ("challenges-apis.2", RIGHT_2 | {"DEBUG": True}, "'DEBUG' is no setting of CORS"),
    ("challenges-apis.2", RIGHT_2 | {"CORS_ALLOWED_ORIGINS": {1}}, "the settings should be texts"),
    ("challenges-apis.2", GIVEN_2 | {"credentials": "include"}, "must not be the wildcard '*'"),
    ("challenges-apis.2", RIGHT_2 | {"credentials": "same-origin"}, "the page reads AnonymousUser"),
    # The quick cure: every page may read.
    (
        "challenges-apis.2",
        GIVEN_2 | {"credentials": "include", "CORS_ALLOW_CREDENTIALS": True},
        "a page of https://evil.example may read the answer",
    ),
    ("challenges-apis.2", RIGHT_2 | {"CORS_ALLOW_ALL_ORIGINS": True}, "may read the answer"),
    ("challenges-apis.2", RIGHT_2 | {"CORS_ALLOW_CREDENTIALS": False}, "must be 'true'"),
    (
        "challenges-apis.2",
        RIGHT_2 | {"CORS_ALLOWED_ORIGINS": ["https://app.stays.example/"]},
        "corsheaders.E014",
    ),
    (
        "challenges-apis.2",
        RIGHT_2 | {"CORS_ALLOWED_ORIGINS": ["app.stays.example"]},
        "corsheaders.E013",
    ),
    (
        "challenges-apis.2",
        RIGHT_2 | {"CORS_ALLOWED_ORIGINS": ["http://app.stays.example"]},
        "No 'Access-Control-Allow-Origin' header",
    ),
    (
        "challenges-apis.2",
        PATTERN | {"CORS_ALLOWED_ORIGIN_REGEXES": [r"https://.*stays\.example"]},
        "a page of https://blog.stays.example may read",
    ),
    (
        "challenges-apis.2",
        PATTERN | {"CORS_ALLOWED_ORIGIN_REGEXES": [r"https://app\.stays\.example"]},
        "a page of https://app.stays.example:8443 may read",
    ),
    (
        "challenges-apis.2",
        RIGHT_2 | {"CSRF_TRUSTED_ORIGINS": []},
        "POST of https://app.stays.example gets 403",
    ),
    ("challenges-apis.2", RIGHT_2 | {"SESSION_COOKIE_SAMESITE": "None"}, "arrives as Amina's"),
    (
        "challenges-apis.2",
        RIGHT_2 | {"SESSION_COOKIE_SAMESITE": "None", "SESSION_COOKIE_SECURE": False},
        "only from a cookie that is Secure",
    ),
    *(
        (
            "challenges-apis.2",
            RIGHT_2 | {"CSRF_TRUSTED_ORIGINS": ["https://app.stays.example", other]},
            "trust https://app.stays.example alone",
        )
        for other in ("https://blog.stays.example", "https://*.stays.example")
    ),
    ("challenges-apis.2", RIGHT_2 | {"MIDDLEWARE": NO_CSRF}, "keep CSRF's check"),
    ("challenges-apis.2", RIGHT_2 | {"CORS_ALLOW_HEADERS": ["content-type"]}, "has no x-csrftoken"),
    ("challenges-apis.2", RIGHT_2 | {"CORS_ALLOW_METHODS": ["GET"]}, "has no POST"),
    ("challenges-apis.3", None, "give a dictionary with api.py"),
    ("challenges-apis.3", "urls.py", "this is of type str"),
    ("challenges-apis.3", {"urls.py": ""}, "there is no api.py"),
    ("challenges-apis.3", GIVEN_3 | {"../x.py": ""}, "is not the name of a module"),
    ("challenges-apis.3", GIVEN_3 | {"desk/views.py": ""}, "leave it"),
    ("challenges-apis.3", GIVEN_3, "where is the prefix added twice?"),
    ("challenges-apis.3", addresses(NO_SLASH), "and /api/api/bookings answers"),
    ("challenges-apis.3", addresses(**{"settings.py": "APPEND_SLASH = False"}), "gets 404"),
    ("challenges-apis.3", addresses(ONE_PREFIX), "POST /api/bookings gets 301 to /api/bookings/"),
    (
        "challenges-apis.3",
        addresses(ONE_PREFIX, **{"settings.py": "APPEND_SLASH = False"}),
        "GET /api/bookings gets 404",
    ),
    ("challenges-apis.3", addresses(ONE_PREFIX) | {"urls.py": REDIRECT}, "nothing was stored"),
    (
        "challenges-apis.3",
        GIVEN_3 | {"api.py": LISTED.replace("ONE", "")},
        "GET of /api/bookings/<its id> gets 404",
    ),
    (
        "challenges-apis.3",
        GIVEN_3 | {"api.py": LISTED.replace("ONE", ONE.replace("<int:pk>", "<int:pk>/"))},
        "You called this URL via DELETE, but the URL doesn't end in a slash",
    ),
    ("challenges-apis.3", GIVEN_3 | {"api.py": PRETENDS}, "not one booking was stored"),
    ("challenges-apis.3", addresses(ONE_PREFIX, NO_SLASH) | {"urls.py": BOTH}, "one address"),
    ("challenges-apis.3", GIVEN_3 | {"api.py": LOOSE}, "/api/api/bookings/ answers too"),
    (
        "challenges-apis.3",
        addresses(ONE_PREFIX, NO_SLASH)
        | {"urls.py": changed(GIVEN_3["urls.py"], ('"api/"', '"api/api/"'))},
        "where is the prefix added twice?",
    ),
    ("challenges-apis.4", None, "the three files of desk"),
    ("challenges-apis.4", {"desk/models.py": ""}, "there is no desk/__init__.py"),
    ("challenges-apis.4", GIVEN_4, "cannot import name 'is_free' from partially initialized"),
    ("challenges-apis.4", package(models=LATE), "AppRegistryNotReady: Apps aren't loaded yet."),
    ("challenges-apis.4", package(models=FREE, services=USES), "AppRegistryNotReady"),
    ("challenges-apis.4", package(__init__=""), "cannot import name 'Booking' from partially"),
    (
        "challenges-apis.4",
        package(
            models=LATE, __init__="import django; django.setup()\nfrom desk.services import book"
        ),
        "populate() isn't reentrant",
    ),
    (
        "challenges-apis.4",
        package(
            __init__="",
            models=changed(
                GIVEN_4["desk/models.py"],
                (
                    "from desk.services import is_free",
                    "try:\n    from desk.services import is_free\nexcept ImportError:\n    pass",
                ),
            ),
        ),
        "full_clean: it raised NameError",
    ),
    (
        "challenges-apis.4",
        package(__init__="", models=changed(LATE, ("raise ValidationError", "str"))),
        "a night is taken, and full_clean does not say so",
    ),
    (
        "challenges-apis.4",
        package(__init__="", models=changed(FREE, ("def clean", "def full_clean")), services=USES),
        "full_clean accepts a booking without a night",
    ),
    (
        "challenges-apis.4",
        package(__init__="", models=FREE, services=changed(USES, (", is_free", ""))),
        "desk.services has no is_free any more",
    ),
    (
        "challenges-apis.4",
        package(
            __init__="",
            models=changed(
                FREE, ("def is_free", "from functools import cache\n\n@cache\ndef is_free")
            ),
            services=USES,
        ),
        "a night is taken, and is_free does not say so",
    ),
    (
        "challenges-apis.4",
        package(
            __init__="",
            models=FREE,
            services=changed(USES, ("return Booking.objects.create", "return Booking")),
        ),
        "a booking that is in the table",
    ),
    (
        "challenges-apis.4",
        package(
            __init__="",
            models=FREE,
            services=changed(
                USES,
                (
                    "from desk.models import Booking, is_free",
                    "from desk.models import is_free\n"
                    "from django.db import models\n\nclass Booking(models.Model):\n"
                    "    night = models.DateField()\n    class Meta:\n        app_label = 'desk'\n",
                ),
            ),
        ),
        "Conflicting 'booking' models",
    ),
    (
        "challenges-apis.4",
        package(__init__="", models=FREE, services="is_free = book = lambda _: True"),
        "a booking that is in the table",
    ),
    ("challenges-apis.5", None, "give the resolver"),
    ("challenges-apis.5", "author", "this is of type str"),
    ("challenges-apis.5", for_ever, "A loader must not outlive its request"),
    ("challenges-apis.5", remembering, "3 statements for the authors"),
    ("challenges-apis.5", one_each, "3 statements for the authors"),
    ("challenges-apis.5", in_their_order, "the author of review 2 should be Amina, and is Bode"),
    ("challenges-apis.5", padded, "the author of review 1 should be Esi, and is None"),
    ("challenges-apis.5", all_are_there, "author whose account is gone: KeyError: 50"),
    ("challenges-apis.5", swallowing, "let the error through"),
    ("challenges-apis.5", everybody, "it also asks for people that nobody needs"),
    ("challenges-apis.5", a_name, "it returned a str"),
    ("challenges-apis.5", nobody, "should be Chidi, and is None"),
    ("challenges-apis.5", crossed, "two requests run at once"),
    ("challenges-apis.5", lambda _, info: info.context["people"]([1]), "it returned a list"),
    ("challenges-apis.5", asleep, "had not come to an end"),
]


test_right, test_not_yet = tables.tests(RIGHT, NOT_YET, often=4)


def test_a_late_import_is_told() -> None:
    late = judge_answer("challenges-apis.4", package(__init__="", models=LATE))
    whole = judge_answer(
        "challenges-apis.4",
        package(
            __init__="",
            models=WHOLE_MODULE,
            services=changed(
                GIVEN_4["desk/services.py"],
                ("from desk.models import Booking", "import desk.models"),
                ("Booking.", "desk.models.Booking."),
            ),
        ),
    )
    straight = judge_answer("challenges-apis.4", RIGHT[8][1])
    assert "still need each other" in late.message
    assert "still need each other" in whole.message
    assert "point one way" in straight.message


def test_the_stub_of_a_resolver_is_no_try() -> None:
    names: Mapping[str, Any] = {}
    exec(GIVEN_5, names)  # type: ignore[arg-type]
    stub: Callable[..., Awaitable[object]] = names["author"]
    verdict = judge_answer("challenges-apis.5", stub)
    assert (verdict.right, verdict.tried) == (False, False)
    assert "3 statements for the authors" in verdict.message
    for number, given in enumerate((GIVEN_1, GIVEN_2, GIVEN_3, GIVEN_4), 1):
        assert not judge_answer(f"challenges-apis.{number}", given).tried
