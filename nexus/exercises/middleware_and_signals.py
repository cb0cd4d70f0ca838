"""Judges of "Middleware and signals": opening hours, a mail after the commit, an edit's history."""

import inspect
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Any

from nexus.judging import NotYet, judge
from nexus.judging.meeting import come_to_rest, holding
from nexus.judging.querying import own_django
from nexus.judging.sandbox import Connection, Sandbox, database, django_settings
from nexus.judging.workers import OtherProcessError, Worker, worker

Middleware = Callable[[Any], Any]
Receiver = Callable[..., object]
Edit = Callable[..., object]


GIVEN_1 = """
def opening_hours(get_response):
    def middleware(request):
        return get_response(request)

    return middleware
"""

DAYS = {
    "15 January": datetime(2026, 1, 15, tzinfo=UTC),
    "15 July": datetime(2026, 7, 15, tzinfo=UTC),
}
AHEAD = {"15 January": 0, "15 July": 1}
"""How many hours Lisbon is ahead of UTC."""

HOURS = {
    "12:00": False,
    "17:59": False,
    "18:00": True,
    "18:30": True,
    "23:30": True,
    "0:30": True,
    "1:59": True,
    "2:00": False,
    "2:30": False,
}
"""Whether the chat is open."""

ELSEWHERE = {
    "/healthz": "/healthz",
    "/": "/",
    "/messages-help/": "/messages-help/",
    "/help/messages/": "/help/messages/",
    "/messages/healthz, of a site that is mounted under /messages": "/healthz",
}
"""Addresses that are always open, by what to call them; with what is behind the site's prefix."""


@judge(
    "middleware-and-signals.1",
    takes=Callable,  # type: ignore[arg-type]
    called="a middleware: a function or a class that takes get_response",
    hint="give a function (or a class) that takes get_response and returns a function of a request",
    stub=GIVEN_1,
)
def opening_hours(answer: Callable[[Middleware], Middleware]) -> str:
    """The chat is open in the evening in Lisbon, in summer and winter, and nothing else closes."""
    with worker(lambda: _try_hours(answer)) as process:
        process.said("it")
    return "the chat is open from 18:00 to 02:00 in Lisbon, all year; nothing else ever closes"


def _try_hours(answer: Callable[[Middleware], Middleware]) -> None:
    """Tries the middleware, in a process whose clock and time zone may be changed.

    Raises:
        NotYet: if it does not do what it should.
    """
    import time_machine

    own_django({"ENGINE": "django.db.backends.dummy"})
    from django.core.exceptions import PermissionDenied
    from django.http import HttpRequest, HttpResponse

    os.environ["TZ"] = "America/New_York"
    time.tzset()
    called: list[object] = []

    def view(request: HttpRequest) -> HttpResponse:
        called.append(request)
        return HttpResponse("ok")

    with time_machine.travel(DAYS["15 January"], tick=False):
        middleware = answer(view)
    if not callable(middleware):
        raise NotYet("it should return a function that Django calls with each request")

    def ask(day: str, hour: str, path_info: str, path: str, method: str = "GET") -> int:
        """The status that a request gets; 403 means that the view was not called."""
        request = HttpRequest()
        request.method, request.path, request.path_info = method, path, path_info
        hours, minutes = map(int, hour.split(":"))
        moment = DAYS[day].replace(hour=hours, minute=minutes).timestamp() - 3600 * AHEAD[day]
        called.clear()
        with time_machine.travel(moment, tick=False):
            try:
                response = middleware(request)
            except PermissionDenied:  # Django makes a 403 of it
                response = HttpResponse(status=403)
        if inspect.iscoroutine(response):
            response.close()
            raise NotYet(
                "this is an async middleware, and the judge calls it as gunicorn does: use def"
            )
        if not isinstance(response, HttpResponse):
            raise NotYet("the middleware should return a response")
        if response.status_code == 200 and len(called) != 1:
            raise NotYet(f"the view was called {len(called)} times for one request")
        if response.status_code == 403 and called:
            raise NotYet("the client got 403, but the view was called: check the time before that")
        return response.status_code

    for day in DAYS:
        for hour, is_open in HOURS.items():
            got = ask(day, hour, "/messages/7", "/messages/7")
            if got != (200 if is_open else 403):
                raise NotYet(
                    f"on {day} at {hour} in Lisbon the chat should be "
                    f"{'open' if is_open else 'closed, with a 403'}; the client got {got}"
                )
    for method in ("POST", "OPTIONS"):
        if (got := ask("15 July", "12:00", "/messages/7", "/messages/7", method)) != 403:
            raise NotYet(f"the chat is closed, and a {method} to /messages/7 got {got}")
    for name, path_info in ELSEWHERE.items():
        if (got := ask("15 July", "12:00", path_info, name.split(",")[0])) != 200:
            raise NotYet(f"{name} is not the chat and should always be open; it got {got}")
    if (got := ask("15 July", "12:00", "/messages/7", "/app/messages/7")) != 403:
        raise NotYet(
            "the site is mounted under /app, and its chat does not close: request.path has the "
            f"prefix, request.path_info has not; it got {got}"
        )


GIVEN_2 = """
def booked(sender, instance, created, **kwargs):
    mail.send_mail("Booked", f"See you on {instance.night}", None, [instance.email])
"""


@judge(
    "middleware-and-signals.2",
    takes=Callable,  # type: ignore[arg-type]
    called="a receiver: a function that takes sender, instance, created and **kwargs",
    hint="give a function that takes sender, instance, created and **kwargs, and sends a mail when "
    "a new booking is committed",
    stub=GIVEN_2,
)
def booked(answer: Receiver) -> str:
    """A mail for each booking that is committed, and for nothing else."""
    with worker(lambda: _try_receiver(answer)) as process:
        process.said("it")
    return (
        "each new booking has one mail, after the commit; what is rolled back, changed or loaded "
        "has none, and a mail server that is down disturbs nobody"
    )


class _Post:
    """What Django gives a mail to; it notes to whom, and can be down."""

    def __init__(self) -> None:
        self.mails: list[tuple[list[str], str]] = []
        self.tried, self.is_down = 0, False

    def connection(self, *_: object, fail_silently: bool = False, **__: object) -> "_Line":
        """In place of Django's get_connection."""
        return _Line(self, fail_silently)

    def taken(self) -> list[tuple[list[str], str]]:
        """The mails since the last time; waits for threads of the answer's."""
        for thread in threading.enumerate():
            if thread is not threading.current_thread():
                thread.join(2)
        mails, self.mails = self.mails, []
        return mails


class _Line:
    """One connection to the mail server."""

    def __init__(self, post: _Post, fail_silently: bool) -> None:
        self.post, self.fail_silently = post, fail_silently

    def send_messages(self, messages: list[Any]) -> int:
        """Notes the mails.

        Raises:
            ConnectionError: if it is down.
        """
        self.post.tried += 1
        if self.post.is_down:
            if self.fail_silently:
                return 0
            raise ConnectionError("the mail server is down")
        self.post.mails += [(list(message.recipients()), str(message.body)) for message in messages]
        return len(messages)


class _RolledBackError(Exception):
    """Ends a transaction of the judge's."""


def _try_receiver(answer: Receiver) -> None:
    """Tries the receiver, with a Django and a database of its own.

    Raises:
        NotYet: if it does not do what it should.
    """
    own_django({"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"})
    from django.core import mail
    from django.db import connection, models, transaction
    from django.db.models.signals import post_save

    post = _Post()
    mail.get_connection = post.connection  # type: ignore[assignment]

    class Booking(models.Model):
        email = models.EmailField()
        night = models.DateField()

        class Meta:
            app_label = "judge"

    with connection.schema_editor() as editor:
        editor.create_model(Booking)
    post_save.connect(answer, sender=Booking, weak=False)

    def book(guest: str, day: int) -> Any:  # noqa: ANN401 (a model that is made above)
        return Booking.objects.create(email=f"{guest}@example.org", night=f"2026-12-{day:02}")

    def expect(what: str, *guests: str) -> None:
        """Compares who has got a mail with who should have."""
        mails = post.taken()
        wanted = sorted([f"{guest}@example.org"] for guest in guests)
        got = sorted(to for to, _ in mails)
        if got != wanted:
            raise NotYet(
                f"{what}: there should be {_mails(wanted)}, and there {_mails(got, is_said=True)}"
            )

    with transaction.atomic():
        book("amina", 1)
        if post.taken():
            raise NotYet("the mail was sent before the commit, and the booking can still be undone")
    mails = post.taken()
    if [to for to, _ in mails] != [["amina@example.org"]]:
        raise NotYet(
            "a booking was committed: there should be one mail to amina@example.org, and there "
            + _mails([to for to, _ in mails], is_said=True)
        )
    if "2026-12-01" not in mails[0][1]:
        raise NotYet(f"the mail should name the night, 2026-12-01; it says {mails[0][1][:100]!r}")
    bode = book("bode", 2)
    expect("a booking was saved without a transaction around it", "bode")
    with _rolled_back():
        book("chidi", 3)
    expect("a booking was rolled back")
    book("dalila", 3)
    expect("after one that was rolled back, the next guest booked", "dalila")
    with transaction.atomic():
        book("esi", 4)
        book("farida", 5)
    expect("two guests were booked in one transaction", "esi", "farida")
    with transaction.atomic():
        book("kofi", 6)
        with _rolled_back():
            book("lindiwe", 7)
    expect("of two bookings, the inner one was rolled back and the outer one committed", "kofi")
    bode.night = "2026-12-08"
    bode.save()
    expect("a booking was changed")
    Booking(pk=900, email="old@example.org", night="2025-01-01").save_base(raw=True)
    expect("an old booking was loaded from a backup (raw is true)")
    post.is_down, post.tried = True, 0
    went_on: list[bool] = []
    try:
        with transaction.atomic():
            book("naledi", 9)
            transaction.on_commit(lambda: went_on.append(True))
    except Exception as error:
        about = (
            ". To log the failure, Django needs the name of your function, and a partial has none"
            if "__qualname__" in str(error)
            else ""
        )
        raise NotYet(
            "the mail server was down, and the code that booked got the error, though its booking "
            f"is committed: {type(error).__name__}{about}"
        ) from None
    if not went_on:
        raise NotYet(
            "the mail server was down, and the next function of on_commit did not run: the error "
            "must not stop it"
        )
    if Booking.objects.filter(email="naledi@example.org").count() != 1:
        raise NotYet("the mail server was down, and the booking is gone")


def _mails(to: list[list[str]], *, is_said: bool = False) -> str:
    """Some mails in words."""
    verb = ("is " if len(to) == 1 else "are ") if is_said else ""
    count = "no mail" if not to else "one mail" if len(to) == 1 else f"{len(to)} mails"
    verb = "is " if is_said and not to else verb
    return f"{verb}{count}" + (f" to {'; '.join(', '.join(one) for one in to)}" if to else "")


@contextmanager
def _rolled_back() -> Iterator[None]:
    """A transaction, or a part of one, that is undone at its end."""
    from django.db import transaction

    try:
        with transaction.atomic():
            yield
            raise _RolledBackError
    except _RolledBackError:
        pass


GIVEN_3 = """
def edit(messages, history, message_id, text):
    message = messages.get(pk=message_id)
    history.create(message=message, old_text=message.text)
    message.text = text
    message.save()
"""

TABLES = """
    CREATE TABLE message (
        id bigint PRIMARY KEY, text text NOT NULL CHECK (text <> ''),
        is_read boolean NOT NULL DEFAULT false);
    CREATE TABLE history (
        id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
        message_id bigint NOT NULL REFERENCES message,
        old_text text NOT NULL CHECK (old_text <> 'kept nowhere'));
    INSERT INTO message VALUES (1, 'one'), (2, 'two'), (3, 'kept nowhere'), (4, 'four')
"""


def _build(connection: Connection) -> None:
    connection.execute(TABLES)


@judge(
    "middleware-and-signals.3",
    takes=Callable,  # type: ignore[arg-type]
    called="a function of messages, history, the message's id and the new text",
    hint="give a function that takes messages, history, a message's id and its new text",
    stub=GIVEN_3,
)
def edit(answer: Edit) -> str:
    """Every version is kept once, also when two edit at the same moment."""
    with database("middleware_and_signals", _build) as box:
        own = django_settings(box.learner)
        state: dict[str, Any] = {}
        action = partial(_edit_there, answer, own, state)
        with worker(action) as one, worker(action) as other:
            _one_editor(box, one)
            _two_editors(box, one, other)
    return (
        "each old text is in the history once, also when two edited at the same moment; both rows "
        "are written or none, and an unchanged text writes nothing"
    )


def _edit_there(
    answer: Edit, own: Mapping[str, object], state: dict[str, Any], message_id: int, text: str
) -> None:
    """Calls the answer, in another process with a Django of its own."""
    if not state:
        own_django(own)
        state["managers"] = [model.objects for model in _models()]
    from django.db import connection

    try:
        answer(*state["managers"], message_id, text)
    finally:
        connection.close()


def _models() -> tuple[Any, Any]:
    """Message and History, of the tables that are there."""
    from django.db import models

    class Message(models.Model):
        text = models.TextField()
        is_read = models.BooleanField(default=False)

        class Meta:
            app_label, db_table = "judge", "message"

    class History(models.Model):
        message = models.ForeignKey(Message, models.CASCADE)
        old_text = models.TextField()

        class Meta:
            app_label, db_table = "judge", "history"

    return Message, History


def _state(box: Sandbox) -> tuple[dict[int, str], list[tuple[int, str]]]:
    """The texts of the messages, and the history of all."""
    texts = dict(box.admin.execute("SELECT id, text FROM message").fetchall())
    history = box.admin.execute("SELECT message_id, old_text FROM history ORDER BY id").fetchall()
    return texts, history


def _one_editor(box: Sandbox, editor: Worker) -> None:
    """Edits in all ways, one after the other.

    Raises:
        NotYet: if the rows are not what they should be.
    """
    texts, past = _state(box)

    def expect(what: str) -> None:
        texts_now, past_now = _state(box)
        if texts_now != texts:
            (key, got), *_ = (item for item in texts_now.items() if texts.get(item[0]) != item[1])
            raise NotYet(
                f"{what}: the text of message {key} should be {texts[key]!r}; it is {got!r}"
            )
        if past_now != past:
            raise NotYet(
                f"{what}: the history should be {[old for _, old in past]}; it is "
                f"{[old for _, old in past_now]}"
            )

    for text, what in (("ONE", "one edit"), ("one again", "a second edit of the same message")):
        editor.said("it", 1, text)
        past.append((1, texts[1]))
        texts[1] = text
        expect(f"after {what}")
    editor.said("it", 1, "one again")
    expect("after an edit that changes nothing")
    _refused(editor, 99, "nobody", "there is no message 99", {"DoesNotExist", "Http404"})
    expect("after an edit of a message that does not exist")
    _refused(editor, 2, "", "PostgreSQL refuses the new text", {"IntegrityError"})
    expect("PostgreSQL refused the new text. Both rows are written or none")
    _refused(editor, 3, "three", "PostgreSQL refuses the row of the history", {"IntegrityError"})
    expect("PostgreSQL refused the row of the history. Both rows are written or none")


def _refused(editor: Worker, message_id: int, text: str, what: str, kinds: set[str]) -> None:
    """Lets an edit fail.

    Raises:
        NotYet: if the caller is not told, or is told something else.
    """
    editor.ask(message_id, text)
    try:
        editor.answer("it")
    except OtherProcessError as error:
        if not kinds & set(error.kind):
            raise NotYet(f"{what}, and it raised {error.kind[0]}: {error}") from None
    else:
        raise NotYet(f"{what}, and the caller was not told: let the error through")


def _two_editors(box: Sandbox, one: Worker, other: Worker) -> None:
    """Lets two edits meet: both wait for somebody who marks the message as read.

    Raises:
        NotYet: if a version is lost, or an edit.
    """
    with holding(box, "UPDATE message SET is_read = true WHERE id = 4") as reader:
        one.ask(4, "from one")
        other.ask(4, "from the other")
        come_to_rest(box, [lambda: not one.is_done(), lambda: not other.is_done()])
        reader.commit()
    for editor in (one, other):
        try:
            editor.answer("one of two edits that met")
        except OtherProcessError as error:
            raise NotYet(f"two edits met, and one raised {error.kind[0]}: {error}") from None
    texts, past = _state(box)
    versions = [old for key, old in past if key == 4] + [texts[4]]
    if sorted(versions) != ["four", "from one", "from the other"]:
        raise NotYet(
            f"two edits of one message met, in two processes: the texts, the oldest first, are "
            f"{versions}. Both read the same old text: lock the row before you read it"
        )
    (is_read,) = box.admin.execute("SELECT is_read FROM message WHERE id = 4").fetchone()  # type: ignore[misc]
    if not is_read:
        raise NotYet(
            "somebody marked the message as read meanwhile, and that is lost: write only the text"
        )
