"""All addresses. The probes /healthz and /readyz are not here: polls.middleware answers them."""

from django.urls import URLPattern, URLResolver, path
from django.views.decorators.cache import cache_page
from drf_spectacular.views import SpectacularJSONAPIView, SpectacularSwaggerSplitView

from polls import api, pages
from polls.stream import stream

ONE = "api/v1/polls/<uuid:poll_id>"

urlpatterns: list[URLPattern | URLResolver] = [
    # For people
    path("", pages.home, name="home"),
    path("register", pages.register, name="register"),
    path("login", pages.log_in, name="login"),
    path("logout", pages.log_out, name="logout"),
    path("polls/new", pages.create, name="new"),
    path("polls/<uuid:poll_id>", pages.show, name="poll"),
    path("polls/<uuid:poll_id>/vote", pages.vote, name="vote"),
    path("polls/<uuid:poll_id>/edit", pages.edit, name="edit"),
    path("polls/<uuid:poll_id>/close", pages.close, name="close"),
    path("polls/<uuid:poll_id>/delete", pages.delete, name="delete"),
    # For programs
    path("api/v1/auth/register", api.Register.as_view()),
    path("api/v1/auth/login", api.Login.as_view()),
    path("api/v1/auth/logout", api.Logout.as_view()),
    path("api/v1/me", api.Me.as_view()),
    path("api/v1/polls", api.PollsView.as_view()),
    path(ONE, api.PollView.as_view()),
    path(f"{ONE}/close", api.Close.as_view()),
    path(f"{ONE}/results", api.ResultsView.as_view()),
    path(f"{ONE}/votes", api.Votes.as_view()),
    path(f"{ONE}/stream", stream, name="stream"),
    path("api/schema", cache_page(3600)(SpectacularJSONAPIView.as_view()), name="schema"),
    path(
        "api/docs",
        SpectacularSwaggerSplitView.as_view(template_name="polls/docs.html"),
        name="docs",
    ),
]

handler400 = "polls.problems.bad_request"
handler403 = "polls.problems.forbidden"
handler404 = "polls.problems.not_found"
handler500 = "polls.problems.server_error"
