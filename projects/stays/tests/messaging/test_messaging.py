import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from rest_framework.test import APIClient
from zeal import zeal_ignore

from stays.accounts.models import User
from stays.common.constraints import constraint_of
from stays.common.errors import Forbidden, NotFound
from stays.messaging import selectors, services
from stays.messaging.models import Conversation, Message
from tests.factories import make_admin, make_host, make_property, make_user
from tests.racing import race

pytestmark = pytest.mark.django_db
AsUser = Callable[[User], APIClient]
CONVERSATIONS = "/api/v1/conversations"


def talk(*texts: tuple[str, str], **fields: Any) -> Conversation:
    """A conversation with messages, each of `guest` or `host`."""
    place = fields.pop("property", None) or make_property()
    guest = fields.pop("guest", None) or make_user()
    conversation = Conversation.objects.create(property=place, guest=guest)
    for who, text in texts:
        sender = {"guest": guest, "host": place.host}[who]
        Message.objects.create(conversation=conversation, sender=sender, text=text)
    return conversation


# -- services


def test_a_guest_writes_to_a_host() -> None:
    guest, place = make_user(), make_property()
    conversation = services.start_conversation(
        actor=guest, property_slug=place.slug, text="Is it quiet?"
    )
    assert (conversation.guest, conversation.property) == (guest, place)
    message = Message.objects.get()
    assert (message.sender, message.text, message.read_at) == (guest, "Is it quiet?", None)
    assert str(message) == "Is it quiet?"
    with zeal_ignore():
        again = services.start_conversation(actor=guest, property_slug=place.slug, text="Hello?")
    assert again == conversation
    assert Message.objects.count() == 2
    assert str(conversation) == f"{guest.id} about {place.id}"


def test_nobody_writes_to_oneself() -> None:
    host = make_host()
    with pytest.raises(Forbidden):
        services.start_conversation(
            actor=host, property_slug=make_property(host=host).slug, text="Hello"
        )
    assert not Conversation.objects.exists()


@pytest.mark.parametrize("is_there", [True, False])
def test_only_places_that_are_offered_are_written_about(is_there: bool) -> None:
    slug = make_property(is_listed=False).slug if is_there else "nowhere"
    with pytest.raises(NotFound):
        services.start_conversation(actor=make_user(), property_slug=slug, text="Hello")
    assert not Conversation.objects.exists()


def test_both_write_and_read() -> None:
    conversation = talk(("guest", "one"), ("guest", "two"))
    host = conversation.property.host
    services.send_message(actor=host, conversation_id=conversation.id, text="x" * 2000)

    def unread() -> list[int]:
        with zeal_ignore():
            return [
                selectors.conversations_of(user=user).get().unread
                for user in (conversation.guest, host)
            ]

    assert unread() == [1, 2]
    with zeal_ignore():
        assert services.mark_read(actor=host, conversation_id=conversation.id) == 2
        assert unread() == [1, 0]
        read_at = set(Message.objects.exclude(sender=host).values_list("read_at", flat=True))
        assert services.mark_read(actor=host, conversation_id=conversation.id) == 0
        assert set(Message.objects.exclude(sender=host).values_list("read_at", flat=True)) == (
            read_at
        )
        assert services.mark_read(actor=conversation.guest, conversation_id=conversation.id) == 1
    assert unread() == [0, 0]


@pytest.mark.parametrize("make", [make_user, make_host, make_admin])
def test_others_do_not_know_of_it(make: Callable[[], User]) -> None:
    conversation = talk(("guest", "one"))
    actor = make()
    with pytest.raises(NotFound), zeal_ignore():
        services.send_message(actor=actor, conversation_id=conversation.id, text="Hello")
    with pytest.raises(NotFound), zeal_ignore():
        services.mark_read(actor=actor, conversation_id=conversation.id)
    with pytest.raises(NotFound), zeal_ignore():
        selectors.messages_in(user=actor, conversation_id=conversation.id)
    assert not selectors.conversations_of(user=actor).exists()
    assert [(message.text, message.read_at) for message in Message.objects.all()] == [("one", None)]


@pytest.mark.django_db(transaction=True)
def test_a_guest_who_begins_ten_times_at_once_has_one_conversation() -> None:
    guest, place = make_user(), make_property()
    outcomes = race(
        lambda number: services.start_conversation(
            actor=guest, property_slug=place.slug, text=str(number)
        ),
        10,
    )
    assert all(isinstance(got, Conversation) for got in outcomes), outcomes
    assert Conversation.objects.count() == 1
    assert sorted(Message.objects.values_list("text", flat=True)) == sorted(map(str, range(10)))


def test_the_database_refuses_a_second_conversation() -> None:
    conversation = talk()
    with pytest.raises(IntegrityError) as refused, transaction.atomic():
        Conversation.objects.create(property=conversation.property, guest=conversation.guest)
    assert constraint_of(refused.value) == "conversation_one"


# -- REST


def test_beginning_and_going_on(as_user: AsUser) -> None:
    guest, place = make_user(name="Ada Byron"), make_property(title="Loft")
    answer = as_user(guest).post(
        CONVERSATIONS, {"property": place.slug, "text": "  Is it quiet?\n"}
    )
    assert answer.status_code == 201
    conversation = Conversation.objects.get()
    address = f"{CONVERSATIONS}/{conversation.id}/messages"
    assert answer["Location"] == address
    data = dict(answer.json())
    assert data.pop("created_at")
    last = data.pop("last_message")
    assert last.pop("created_at")
    assert last == {"is_mine": True, "text": "Is it quiet?"}
    assert data == {
        "id": str(conversation.id),
        "property": {"slug": place.slug, "title": "Loft"},
        "guest": "Ada Byron",
        "host": place.host.name,
        "unread": 0,
    }
    with zeal_ignore():
        sent = as_user(place.host).post(address, {"text": "Very."})
        assert sent.status_code == 201
        assert sent.json()["is_mine"] is True
        assert (sent.json()["sender"], sent.json()["read_at"]) == (place.host.name, None)
        listed = as_user(guest).get(CONVERSATIONS).json()["results"]
        assert [(one["unread"], one["last_message"]["text"]) for one in listed] == [(1, "Very.")]
        read = as_user(guest).post(f"{CONVERSATIONS}/{conversation.id}/read")
        assert (read.status_code, read.content) == (204, b"")
        messages = as_user(guest).get(address).json()["results"]
    assert [(one["text"], one["is_mine"]) for one in messages] == [
        ("Very.", False),
        ("Is it quiet?", True),
    ]
    assert messages[0]["read_at"] is not None


def test_a_message_sent_twice_with_one_key_is_written_once(as_user: AsUser) -> None:
    conversation = talk()
    client = as_user(conversation.guest)
    for _ in range(2):
        answer = client.post(
            f"{CONVERSATIONS}/{conversation.id}/messages",
            {"text": "Hello"},
            headers={"Idempotency-Key": "k"},
        )
        assert answer.status_code == 201
    assert Message.objects.count() == 1


@pytest.mark.parametrize(
    "body",
    [
        *({}, {"text": ""}, {"text": " \n\t"}, {"text": 1}, {"text": "x" * 2001}, {"t": "x"}, []),
        {"text": "a\0b"},
    ],
)
def test_a_body_with_a_fault_is_refused(as_user: AsUser, body: Any) -> None:
    conversation = talk()
    client = as_user(conversation.guest)
    messages = client.post(f"{CONVERSATIONS}/{conversation.id}/messages", body)
    begin = client.post(
        CONVERSATIONS,
        body | {"property": conversation.property.slug} if isinstance(body, dict) else body,
    )
    read = client.post(f"{CONVERSATIONS}/{conversation.id}/read", {"text": "x"})
    assert [messages.status_code, begin.status_code, read.status_code] == [400, 400, 400]
    assert not Message.objects.exists()


def test_conversations_are_listed_by_their_newest_message(
    as_user: AsUser, django_assert_num_queries: Any
) -> None:
    host = make_host()
    first = talk(("guest", "a"), property=make_property(host=host))
    second = talk(("guest", "b"), ("guest", "c"), property=make_property(host=host))
    third = talk(("guest", "d"), guest=host)
    silent = talk(property=make_property(host=host))
    talk(("guest", "of others"))
    Message.objects.create(conversation=first, sender=host, text="newest")
    with django_assert_num_queries(1):
        answer = as_user(host).get(CONVERSATIONS, {"limit": 2})
    page = answer.json()
    assert [one["id"] for one in page["results"]] == [str(first.id), str(silent.id)]
    assert page["results"][0]["last_message"]["text"] == "newest"
    assert page["results"][1]["last_message"] is None
    with django_assert_num_queries(1):
        rest = as_user(host).get(page["next"]).json()
    assert [(one["id"], one["unread"]) for one in rest["results"]] == [
        (str(third.id), 0),
        (str(second.id), 2),
    ]
    assert rest["next"] is None


def test_messages_are_listed_with_the_newest_first(
    as_user: AsUser, django_assert_num_queries: Any
) -> None:
    conversation = talk(*(("guest" if number % 2 else "host", str(number)) for number in range(7)))
    talk(("guest", "of others"))
    client = as_user(conversation.guest)
    with django_assert_num_queries(2):  # the conversation, its messages
        page = client.get(f"{CONVERSATIONS}/{conversation.id}/messages", {"limit": 4}).json()
    assert [one["text"] for one in page["results"]] == ["6", "5", "4", "3"]
    with zeal_ignore():
        rest = client.get(page["next"]).json()
    assert [one["text"] for one in rest["results"]] == ["2", "1", "0"]


@pytest.mark.parametrize("make", [make_user, make_admin])
def test_others_conversations_do_not_exist(as_user: AsUser, make: Callable[[], User]) -> None:
    conversation = talk(("guest", "private words"))
    client = as_user(make())
    with zeal_ignore():
        for number in (conversation.id, uuid.uuid4()):
            address = f"{CONVERSATIONS}/{number}"
            answers = [
                client.get(f"{address}/messages"),
                client.post(f"{address}/messages", {"text": "Hello"}),
                client.post(f"{address}/read"),
            ]
            assert [answer.status_code for answer in answers] == [404, 404, 404]
            assert all("private" not in answer.content.decode() for answer in answers)
    assert client.get(CONVERSATIONS).json() == {"results": [], "next": None}
    assert Message.objects.count() == 1


def test_the_admin_shows_that_people_talk_and_not_what(client: Any) -> None:
    conversation = talk(("guest", "private words"))
    with zeal_ignore():
        client.force_login(make_admin(is_superuser=True))
        address = "/admin/messaging/conversation/"
        assert client.get(address).status_code == 200
        shown = client.get(f"{address}{conversation.id}/change/")
        assert client.get(f"{address}{conversation.id}/delete/").status_code == 403
        assert client.get(f"{address}add/").status_code == 403
    assert shown.status_code == 200
    assert b"private words" not in shown.content
