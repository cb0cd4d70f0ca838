"""The pages for people. They work without JavaScript; with it, results are live."""

from collections.abc import Callable
from functools import wraps
from typing import Any, cast
from uuid import UUID

from django.contrib import messages
from django.contrib.auth import login, logout
from django.contrib.auth.decorators import login_required
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from polls import accounts, services
from polls.errors import Refusal
from polls.forms import CredentialsForm, PollForm, RegisterForm
from polls.models import User
from polls.problems import answer

View = Callable[..., HttpResponse]
ROWS = 20


def refusals_shown(view: View) -> View:
    """Show a refusal as a page with its status."""

    @wraps(view)
    def shown(request: HttpRequest, *args: Any, **options: Any) -> HttpResponse:
        try:
            return view(request, *args, **options)
        except Refusal as refusal:
            return answer(request, refusal)

    return shown


def login_required_to_post(view: View) -> View:
    """Ask for a log-in, which then goes on to the poll's page.

    `login_required` would go on to the address itself, where a GET is a 405.
    """

    @wraps(view)
    def guarded(request: HttpRequest, poll_id: UUID) -> HttpResponse:
        if not request.user.is_authenticated:
            return redirect_to_login(reverse("poll", args=[poll_id]))
        return view(request, poll_id)

    return guarded


def add_refusal(form: Any, refusal: Refusal) -> None:
    """Show a refusal in a form, beside the field that it is about."""
    form.add_error(refusal.field if refusal.field in form.fields else None, refusal.detail)


@require_GET
def home(request: HttpRequest) -> HttpResponse:
    """List polls, the newest first, and say what is here."""
    try:
        before = UUID(request.GET["before"]) if "before" in request.GET else None
    except ValueError:
        return answer(request, Refusal(404, "not_found", "There is no such page."))
    rows, after = services.page(before=before, limit=ROWS)
    return render(request, "polls/home.html", {"polls": rows, "after": after, "before": before})


@refusals_shown
@require_GET
def show(request: HttpRequest, poll_id: UUID) -> HttpResponse:
    """Show a poll: its form for who may vote, its results for who may see them."""
    poll = services.get_poll(poll_id)
    visible = services.may_see_results(poll, request.user)
    context = {
        "poll": poll,
        "options": list(poll.options.all()),
        "my_vote": services.vote_of(poll, request.user),
        "results": services.results([poll_id])[poll_id] if visible else None,
        "is_owner": poll.owner_id == request.user.pk,
    }
    return render(request, "polls/poll.html", context)


@login_required_to_post
@refusals_shown
@require_POST
def vote(request: HttpRequest, poll_id: UUID) -> HttpResponse:
    """Vote, and show the poll."""
    chosen = request.POST.get("option", "")
    if not (chosen.isascii() and chosen.isdigit() and len(chosen) < 19):
        messages.error(request, "Choose an option.")
        return redirect("poll", poll_id)
    services.cast_vote(poll_id=poll_id, voter=cast(User, request.user), option_id=int(chosen))
    messages.success(request, "Your vote is counted.")
    return redirect("poll", poll_id)


@login_required
@require_http_methods(["GET", "POST"])
def create(request: HttpRequest) -> HttpResponse:
    """Create a poll."""
    form = PollForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            owner = cast(User, request.user)
            poll = services.create_poll(owner=owner, **form.cleaned_data)
            return redirect("poll", poll.pk)
        except Refusal as refusal:
            add_refusal(form, refusal)
    return render(request, "polls/form.html", {"form": form, "title": "New poll"})


@login_required
@refusals_shown
@require_http_methods(["GET", "POST"])
def edit(request: HttpRequest, poll_id: UUID) -> HttpResponse:
    """Change a poll of one's own, before its first vote."""
    poll = services.owned_poll(poll_id, request.user)
    form = PollForm(request.POST or None, initial=PollForm.of(poll))
    if request.method == "POST" and form.is_valid():
        try:
            actor = cast(User, request.user)
            services.edit_poll(poll_id=poll_id, actor=actor, **form.cleaned_data)
            return redirect("poll", poll_id)
        except Refusal as refusal:
            add_refusal(form, refusal)
    return render(request, "polls/form.html", {"form": form, "title": "Edit the poll"})


@login_required_to_post
@refusals_shown
@require_POST
def close(request: HttpRequest, poll_id: UUID) -> HttpResponse:
    """Close a poll of one's own."""
    services.close_poll(poll_id=poll_id, actor=cast(User, request.user))
    messages.success(request, "The poll is closed.")
    return redirect("poll", poll_id)


@login_required_to_post
@refusals_shown
@require_POST
def delete(request: HttpRequest, poll_id: UUID) -> HttpResponse:
    """Delete a poll."""
    services.delete_poll(poll_id=poll_id, actor=cast(User, request.user))
    messages.success(request, "The poll is deleted.")
    return redirect("home")


@require_http_methods(["GET", "POST"])
def log_in(request: HttpRequest) -> HttpResponse:
    """Begin a session, and go on where the user wanted to be."""
    form = CredentialsForm(request.POST or None)
    return _enter(
        request, form, "Log in", lambda: accounts.check_password(request, **form.cleaned_data)
    )


@require_http_methods(["GET", "POST"])
def register(request: HttpRequest) -> HttpResponse:
    """Create an account, and begin a session."""
    form = RegisterForm(request.POST or None)
    return _enter(
        request, form, "Register", lambda: accounts.register(request, **form.cleaned_data)
    )


def _enter(
    request: HttpRequest, form: CredentialsForm, title: str, get_user: Callable[[], User]
) -> HttpResponse:
    """Show a form whose answer begins a session."""
    status = 200
    target = request.POST.get("next", request.GET.get("next", ""))
    if request.method == "POST" and form.is_valid():
        try:
            login(request, get_user())
            safe = url_has_allowed_host_and_scheme(
                target, {request.get_host()}, require_https=request.is_secure()
            )
            return redirect(target if safe else "home")
        except Refusal as refusal:
            add_refusal(form, refusal)
            status = refusal.status if refusal.status == 429 else 200
    context = {"form": form, "title": title, "next": target}
    return render(request, "polls/form.html", context, status=status)


@require_POST
def log_out(request: HttpRequest) -> HttpResponse:
    """End the session."""
    logout(request)
    return redirect("home")
