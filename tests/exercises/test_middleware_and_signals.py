"""Each judge of middleware-and-signals: the stub, right answers of several kinds, wrong ones."""

import contextlib
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from functools import cache, partial
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.core import mail
from django.core.exceptions import PermissionDenied
from django.core.mail import EmailMessage, send_mail
from django.db import connection, transaction
from django.http import HttpRequest, HttpResponse, HttpResponseForbidden
from django.utils import timezone as django_timezone

import nexus
from nexus.exercises import middleware_and_signals
from nexus.judging import judge_answer
from nexus.judging.stubs import is_same
from nexus.services import Postgres, current
from tests.exercises import tables

# ruff: noqa: ANN401, ARG001 (a receiver gets what Django gives)

EXERCISES = [f"middleware-and-signals.{number}" for number in range(1, 4)]
ONE, TWO, THREE = EXERCISES
Layer = Callable[[Any], Any]
Model = Any
LISBON = ZoneInfo("Europe/Lisbon")


@pytest.fixture(scope="module", autouse=True)
def server() -> Iterator[None]:
    with nexus.postgres(fsync="off"):  # databases come and go
        yield


# The first exercise: opening hours


def is_closed(hour: int) -> bool:
    return 2 <= hour < 18


def layer(closed: Callable[[HttpRequest], bool]) -> Callable[[Layer], Layer]:
    """A middleware that refuses what it is told to."""

    def factory(get_response: Layer) -> Layer:
        def middleware(request: HttpRequest) -> HttpResponse:
            if closed(request):
                return HttpResponse("closed", status=403)
            return get_response(request)  # type: ignore[no-any-return]

        return middleware

    factory.__name__ = closed.__name__
    return factory


def in_chat(request: HttpRequest) -> bool:
    return request.path_info.startswith("/messages/")


@layer
def by_hour(request: HttpRequest) -> bool:
    return in_chat(request) and is_closed(datetime.now(LISBON).hour)


class ByClass:
    def __init__(self, get_response: Layer) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        now = django_timezone.localtime(django_timezone.now(), LISBON)
        if request.path_info.startswith("/messages/") and not (now.hour >= 18 or now.hour < 2):
            raise PermissionDenied("the chat is closed")
        return self.get_response(request)  # type: ignore[no-any-return]


def by_seconds(get_response: Layer) -> Layer:
    def middleware(request: HttpRequest) -> HttpResponse:
        now = datetime.fromtimestamp(time.time(), UTC).astimezone(LISBON) - timedelta(hours=2)
        if request.path_info.split("/")[1:2] == ["messages"] and now.hour < 16:
            return HttpResponseForbidden("come back at 18:00")
        return get_response(request)  # type: ignore[no-any-return]

    return middleware


@layer
def server_time(request: HttpRequest) -> bool:
    return in_chat(request) and is_closed(datetime.now().hour)


@layer
def in_utc(request: HttpRequest) -> bool:
    return in_chat(request) and is_closed(datetime.now(UTC).hour)


@layer
def an_hour_ahead(request: HttpRequest) -> bool:
    return in_chat(request) and is_closed(datetime.now(timezone(timedelta(hours=1))).hour)


@layer
def never_open(request: HttpRequest) -> bool:
    return in_chat(request) and not 18 <= datetime.now(LISBON).hour < 2


@layer
def too_late(request: HttpRequest) -> bool:
    return in_chat(request) and 2 < datetime.now(LISBON).hour < 18


@layer
def until_midnight(request: HttpRequest) -> bool:
    return in_chat(request) and datetime.now(LISBON).hour < 18


@layer
def after_six(request: HttpRequest) -> bool:
    return in_chat(request) and 2 <= datetime.now(LISBON).hour <= 18


@layer
def everything(request: HttpRequest) -> bool:
    return is_closed(datetime.now(LISBON).hour)


@layer
def without_a_slash(request: HttpRequest) -> bool:
    return request.path_info.startswith("/messages") and is_closed(datetime.now(LISBON).hour)


@layer
def anywhere(request: HttpRequest) -> bool:
    return "/messages/" in request.path_info and is_closed(datetime.now(LISBON).hour)


@layer
def only_reading(request: HttpRequest) -> bool:
    return request.method == "GET" and in_chat(request) and is_closed(datetime.now(LISBON).hour)


@layer
def with_the_prefix(request: HttpRequest) -> bool:
    return request.path.startswith("/messages/") and is_closed(datetime.now(LISBON).hour)


@layer
def path_anywhere(request: HttpRequest) -> bool:
    return "/messages/" in request.path and is_closed(datetime.now(LISBON).hour)


@layer
def swallows(request: HttpRequest) -> bool:
    with contextlib.suppress(Exception):
        return in_chat(request) and is_closed(datetime.now(ZoneInfo("Lisbon")).hour)
    return False


@cache
def remembered(path: str) -> bool:
    return path.startswith("/messages/") and is_closed(datetime.now(LISBON).hour)


@layer
def once(request: HttpRequest) -> bool:
    remembered.cache_clear() if request.path_info == "never" else None
    return remembered(request.path_info)


def at_the_start(get_response: Layer) -> Layer:
    closed = is_closed(datetime.now(LISBON).hour)

    def middleware(request: HttpRequest) -> HttpResponse:
        if in_chat(request) and closed:
            return HttpResponse(status=403)
        return get_response(request)  # type: ignore[no-any-return]

    return middleware


def asks_later(get_response: Layer) -> Layer:
    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        if in_chat(request) and is_closed(datetime.now(LISBON).hour):
            return HttpResponse(status=403)
        return response  # type: ignore[no-any-return]

    return middleware


def politely(get_response: Layer) -> Layer:
    def middleware(request: HttpRequest) -> HttpResponse:
        if in_chat(request) and is_closed(datetime.now(LISBON).hour):
            return HttpResponse("we are closed")
        return get_response(request)  # type: ignore[no-any-return]

    return middleware


def with_503(get_response: Layer) -> Layer:
    def middleware(request: HttpRequest) -> HttpResponse:
        if in_chat(request) and is_closed(datetime.now(LISBON).hour):
            return HttpResponse(status=503)
        return get_response(request)  # type: ignore[no-any-return]

    return middleware


def asynchronous(get_response: Layer) -> Layer:
    async def middleware(request: HttpRequest) -> HttpResponse:
        return get_response(request)  # type: ignore[no-any-return]

    return middleware


def forgets(get_response: Layer) -> Layer:
    def middleware(request: HttpRequest) -> HttpResponse | None:
        if in_chat(request) and is_closed(datetime.now(LISBON).hour):
            return HttpResponse(status=403)
        get_response(request)
        return None

    return middleware


def ends(get_response: Layer) -> Layer:
    def middleware(request: HttpRequest) -> HttpResponse:
        sys.exit("closed")

    return middleware


def no_layer(get_response: Layer) -> None:
    return None


# The second exercise: a mail after the commit


def letter(instance: Model) -> tuple[str, str, None, list[str]]:
    return "Booked", f"See you on {instance.night}", None, [instance.email]


def by_function(
    sender: Model, instance: Model, created: bool, raw: bool = False, **kwargs: Any
) -> None:
    def send() -> None:
        mail.send_mail(*letter(instance))

    if created and not raw:
        transaction.on_commit(send, robust=True)


def by_try(sender: Model, instance: Model, created: bool, **kwargs: Any) -> None:
    if not created or kwargs["raw"]:
        return

    def send() -> None:
        with contextlib.suppress(OSError):
            EmailMessage(*letter(instance)).send()

    transaction.on_commit(send)


def silently(sender: Model, instance: Model, created: bool, raw: bool, **kwargs: Any) -> None:
    if created and not raw:
        transaction.on_commit(lambda: send_mail(*letter(instance), fail_silently=True))


def at_once(sender: Model, instance: Model, created: bool, **kwargs: Any) -> None:
    if created:
        mail.send_mail(*letter(instance))


def at_each_save(sender: Model, instance: Model, created: bool, **kwargs: Any) -> None:
    transaction.on_commit(lambda: mail.send_mail(*letter(instance)), robust=True)


def at_each_load(sender: Model, instance: Model, created: bool, **kwargs: Any) -> None:
    if created:
        transaction.on_commit(lambda: mail.send_mail(*letter(instance)), robust=True)


def not_robust(sender: Model, instance: Model, created: bool, raw: bool, **kwargs: Any) -> None:
    if created and not raw:
        transaction.on_commit(lambda: mail.send_mail(*letter(instance)))


def by_partial(sender: Model, instance: Model, created: bool, raw: bool, **kwargs: Any) -> None:
    if created and not raw:
        transaction.on_commit(partial(mail.send_mail, *letter(instance)), robust=True)


def called_early(sender: Model, instance: Model, created: bool, raw: bool, **kwargs: Any) -> None:
    if created and not raw:
        transaction.on_commit(mail.send_mail(*letter(instance)), robust=True)  # type: ignore[arg-type]


def swallowed(sender: Model, instance: Model, created: bool, raw: bool, **kwargs: Any) -> None:
    with contextlib.suppress(Exception):
        if created and not raw:
            mail.send_mail(*letter(instance))


def outside_only(sender: Model, instance: Model, created: bool, raw: bool, **kwargs: Any) -> None:
    if created and not raw and not connection.in_atomic_block:
        mail.send_mail(*letter(instance))


def own_transaction(
    sender: Model, instance: Model, created: bool, raw: bool, **kwargs: Any
) -> None:
    if created and not raw:
        with transaction.atomic():
            mail.send_mail(*letter(instance))


def in_a_thread(sender: Model, instance: Model, created: bool, raw: bool, **kwargs: Any) -> None:
    if created and not raw:
        threading.Thread(target=mail.send_mail, args=letter(instance)).start()


def to_everybody(sender: Model, instance: Model, created: bool, raw: bool, **kwargs: Any) -> None:
    def send() -> None:
        everybody = [booking.email for booking in sender.objects.all()]
        mail.send_mail("Booked", f"See you on {instance.night}", None, everybody)

    if created and not raw:
        transaction.on_commit(send, robust=True)


told: set[int] = set()


def by_a_set(sender: Model, instance: Model, raw: bool, **kwargs: Any) -> None:
    if instance.pk not in told and not raw:
        told.add(instance.pk)
        transaction.on_commit(lambda: mail.send_mail(*letter(instance)), robust=True)


def last_only(sender: Model, instance: Model, created: bool, raw: bool, **kwargs: Any) -> None:
    def send() -> None:
        newest = sender.objects.order_by("-id").first()
        mail.send_mail(*letter(newest))

    if created and not raw:
        transaction.on_commit(send, robust=True)


def no_night(sender: Model, instance: Model, created: bool, raw: bool, **kwargs: Any) -> None:
    if created and not raw:
        transaction.on_commit(
            lambda: mail.send_mail("Booked", "See you", None, [instance.email]), robust=True
        )


def too_few(sender: Model, instance: Model) -> None:
    mail.send_mail(*letter(instance))


# The third exercise: an edit that keeps every version


def locked(messages: Model, history: Model, message_id: int, text: str) -> None:
    with transaction.atomic():
        message = messages.select_for_update().get(pk=message_id)
        if message.text != text:
            history.create(message=message, old_text=message.text)
            message.text = text
            message.save()


def compared(messages: Model, history: Model, message_id: int, text: str) -> None:
    """It takes no lock: it writes only if the text is still the one that it has read."""
    while True:
        message = messages.get(pk=message_id)
        if message.text == text:
            return
        with transaction.atomic():
            same = messages.filter(pk=message_id, text=message.text)
            if same.update(text=text):
                history.create(message=message, old_text=message.text)
                return


def in_sql(messages: Model, history: Model, message_id: int, text: str) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT text FROM message WHERE id = %s FOR UPDATE", [message_id])
        row = cursor.fetchone()
        if row is None:
            raise messages.model.DoesNotExist
        if row[0] != text:
            cursor.execute(
                "INSERT INTO history (message_id, old_text) VALUES (%s, %s)", [message_id, row[0]]
            )
            cursor.execute("UPDATE message SET text = %s WHERE id = %s", [text, message_id])


def history_first(messages: Model, history: Model, message_id: int, text: str) -> None:
    message = messages.get(pk=message_id)
    if message.text != text:
        history.create(message=message, old_text=message.text)
        messages.filter(pk=message_id).update(text=text)


def message_first(messages: Model, history: Model, message_id: int, text: str) -> None:
    message = messages.get(pk=message_id)
    old = message.text
    if old != text:
        messages.filter(pk=message_id).update(text=text)
        history.create(message=message, old_text=old)


def new_text(messages: Model, history: Model, message_id: int, text: str) -> None:
    with transaction.atomic():
        message = messages.select_for_update().get(pk=message_id)
        if message.text != text:
            message.text = text
            message.save()
            history.create(message=message, old_text=message.text)


def always(messages: Model, history: Model, message_id: int, text: str) -> None:
    with transaction.atomic():
        message = messages.select_for_update().get(pk=message_id)
        history.create(message=message, old_text=message.text)
        messages.filter(pk=message_id).update(text=text)


def without_a_lock(messages: Model, history: Model, message_id: int, text: str) -> None:
    with transaction.atomic():
        message = messages.get(pk=message_id)
        if message.text != text:
            history.create(message=message, old_text=message.text)
            message.text = text
            message.save(update_fields=["text"])


def too_late_a_lock(messages: Model, history: Model, message_id: int, text: str) -> None:
    message = messages.get(pk=message_id)
    with transaction.atomic():
        messages.select_for_update().get(pk=message_id)
        if message.text != text:
            history.create(message=message, old_text=message.text)
            message.text = text
            message.save()


one_at_a_time = threading.Lock()


def in_one_process(messages: Model, history: Model, message_id: int, text: str) -> None:
    with one_at_a_time, transaction.atomic():
        message = messages.get(pk=message_id)
        if message.text != text:
            history.create(message=message, old_text=message.text)
            messages.filter(pk=message_id).update(text=text)


def swallows_errors(messages: Model, history: Model, message_id: int, text: str) -> None:
    with contextlib.suppress(Exception):
        locked(messages, history, message_id, text)


def last_version(messages: Model, history: Model, message_id: int, text: str) -> None:
    with transaction.atomic():
        message = messages.select_for_update().get(pk=message_id)
        if message.text != text:
            history.update_or_create(message=message, defaults={"old_text": message.text})
            messages.filter(pk=message_id).update(text=text)


def no_history(messages: Model, history: Model, message_id: int, text: str) -> None:
    if not messages.filter(pk=message_id).update(text=text):
        raise messages.model.DoesNotExist


def every_message(messages: Model, history: Model, message_id: int, text: str) -> None:
    with transaction.atomic():
        message = messages.select_for_update().get(pk=message_id)
        history.create(message=message, old_text=message.text)
        messages.update(text=text)


def gives_up(messages: Model, history: Model, message_id: int, text: str) -> None:
    with transaction.atomic():
        message = messages.select_for_update(nowait=True).get(pk=message_id)
        if message.text != text:
            history.create(message=message, old_text=message.text)
            message.text = text
            message.save()


def nobody_there(messages: Model, history: Model, message_id: int, text: str) -> None:
    if messages.filter(pk=message_id).exists():
        locked(messages, history, message_id, text)


def never_committed(messages: Model, history: Model, message_id: int, text: str) -> None:
    transaction.set_autocommit(False)
    message = messages.select_for_update().get(pk=message_id)
    history.create(message=message, old_text=message.text)
    messages.filter(pk=message_id).update(text=text)


def overwrites(messages: Model, history: Model, message_id: int, text: str) -> None:
    """Its versions are right, by comparing; but it writes all fields as it has read them."""
    while True:
        message = messages.get(pk=message_id)
        if message.text == text:
            return
        with transaction.atomic():
            now = messages.select_for_update().get(pk=message_id)
            if now.text == message.text:
                history.create(message=message, old_text=message.text)
                message.text = text
                message.save()
                return


def holds_all(messages: Model, history: Model, message_id: int, text: str) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("LOCK TABLE message, history")
        cursor.execute("SELECT pg_sleep(3600)")


RIGHT = [
    (ONE, by_hour),
    (ONE, ByClass),
    (ONE, by_seconds),
    (TWO, by_function),
    (TWO, by_try),
    (TWO, silently),
    (THREE, locked),
    (THREE, compared),
    (THREE, in_sql),
]

NOT_YET: list[tuple[str, object, str]] = [
    (ONE, None, "takes get_response"),
    (ONE, "closed", "should be a middleware"),
    (ONE, server_time, "on 15 January at 18:00 in Lisbon the chat should be open"),
    (ONE, in_utc, "on 15 July at 18:00"),
    (ONE, an_hour_ahead, "on 15 January at 17:59"),
    (ONE, never_open, "at 18:00 in Lisbon the chat should be open; the client got 403"),
    (ONE, too_late, "at 2:00 in Lisbon the chat should be closed"),
    (ONE, until_midnight, "at 0:30"),
    (ONE, after_six, "at 18:00"),
    (ONE, everything, "/healthz is not the chat"),
    (ONE, without_a_slash, "/messages-help/ is not the chat"),
    (ONE, anywhere, "/help/messages/ is not the chat"),
    (ONE, only_reading, "a POST to /messages/7 got 200"),
    (ONE, with_the_prefix, "mounted under"),
    (ONE, path_anywhere, "is not the chat"),
    (ONE, swallows, "should be closed, with a 403; the client got 200"),
    (ONE, once, "at 18:00 in Lisbon the chat should be open"),
    (ONE, at_the_start, "at 12:00 in Lisbon the chat should be closed"),
    (ONE, asks_later, "the view was called: check the time before"),
    (ONE, politely, "the view was called 0 times"),
    (ONE, with_503, "the client got 503"),
    (ONE, asynchronous, "use def"),
    (ONE, forgets, "should return a response"),
    (ONE, ends, "SystemExit"),
    (ONE, no_layer, "should return a function"),
    (TWO, None, "when a new booking is committed"),
    (TWO, at_once, "before the commit"),
    (TWO, at_each_save, "a booking was changed: there should be no mail"),
    (TWO, at_each_load, "from a backup"),
    (TWO, not_robust, "the code that booked got the error"),
    (TWO, by_partial, "a partial has none"),
    (TWO, called_early, "must be a callable"),
    (TWO, swallowed, "before the commit"),
    (TWO, outside_only, "there should be one mail to amina@example.org, and there is no mail"),
    (TWO, own_transaction, "before the commit"),
    (TWO, in_a_thread, "before the commit"),
    (TWO, to_everybody, "there is one mail to amina@example.org, bode@example.org"),
    (TWO, by_a_set, "after one that was rolled back, the next guest booked"),
    (TWO, last_only, "two guests were booked in one transaction"),
    (TWO, no_night, "the mail should name the night"),
    (TWO, too_few, "TypeError"),
    (THREE, None, "its new text"),
    (THREE, history_first, "Both rows are written or none"),
    (THREE, message_first, "Both rows are written or none"),
    (THREE, new_text, "after one edit: the history should be ['one']; it is ['ONE']"),
    (THREE, always, "after an edit that changes nothing"),
    (THREE, without_a_lock, "lock the row before you read it"),
    (THREE, too_late_a_lock, "lock the row before you read it"),
    (THREE, in_one_process, "lock the row before you read it"),
    (THREE, swallows_errors, "there is no message 99, and the caller was not told"),
    (THREE, last_version, "after a second edit"),
    (THREE, no_history, "after one edit: the history should be ['one']; it is []"),
    (THREE, every_message, "the text of message 2"),
    (THREE, gives_up, "one raised OperationalError"),
    (THREE, nobody_there, "the caller was not told"),
    (THREE, never_committed, "the text of message 1 should be 'ONE'"),
    (THREE, overwrites, "marked the message as read"),
]

test_right, test_not_yet = tables.tests(RIGHT, NOT_YET)


def given(exercise: str) -> str:
    """What the chapter gives."""
    text: str = getattr(middleware_and_signals, f"GIVEN_{exercise[-1]}")
    return text


@pytest.mark.parametrize("exercise", EXERCISES)
def test_a_stub_is_no_try(exercise: str) -> None:
    names: dict[str, Any] = {"mail": mail}
    exec(given(exercise), names)
    (stub,) = (value for name, value in names.items() if name not in {"mail", "__builtins__"})
    verdict = judge_answer(exercise, stub)
    assert not verdict.right
    assert not verdict.tried or is_same(stub, given(exercise))


def loops(*arguments: object, **kwargs: object) -> None:
    while True:
        pass


def leaves(*arguments: object, **kwargs: object) -> None:
    os._exit(0)


@pytest.mark.parametrize("exercise", EXERCISES)
@pytest.mark.parametrize(
    ("answer", "hint"), [(loops, "had not come to an end"), (leaves, "ended the process")]
)
def test_an_answer_that_does_not_return(
    exercise: str, answer: object, hint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nexus.judging.limits.SECONDS", 1.0)
    verdict = judge_answer(exercise, answer)
    assert not verdict.right
    assert hint in verdict.message


def test_an_answer_that_holds_all_ends_in_time_and_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("nexus.judging.limits.SECONDS", 1.0)
    begun = time.monotonic()
    verdict = judge_answer(THREE, holds_all)
    assert not verdict.right
    assert "had not come to an end" in verdict.message
    assert time.monotonic() - begun < 10
    server = current("postgres")
    assert isinstance(server, Postgres)
    with server.connect() as link:
        (left,) = link.execute(
            "SELECT count(*) FROM pg_database WHERE datname LIKE 'middleware_and_signals_%'"
        ).fetchone()  # type: ignore[misc]
    assert left == 0
