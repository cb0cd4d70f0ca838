"""Each judge of the chapter on GraphQL: the stub, right answers of several kinds, wrong ones."""
# ruff: noqa: ANN401 (answers take and return anything)

import base64
import sys
from collections import deque
from collections.abc import Callable
from typing import Annotated, Any
from urllib.parse import quote

import pytest
import strawberry
from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    OperationDefinitionNode,
)
from strawberry.permission import BasePermission

from nexus.exercises.graphql import HOUSES
from nexus.judging import judge_answer, limits
from tests.leftovers import no_threads_beyond, threads

EXERCISES = [f"graphql.{number}" for number in range(1, 4)]
ONE, TWO, THREE = EXERCISES
Select = Callable[[list[int]], list[dict[str, Any]]]
Info = strawberry.Info


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SECONDS", 2.0)


# -- 1


def by_dictionary(keys: list[int], select: Select) -> list[Any]:
    rows = {row["id"]: row for row in select(keys)}
    return [rows.get(key) for key in keys]


def by_search(keys: list[int], select: Select) -> Any:
    rows = select(sorted(set(keys))) if keys else []
    return (next((row for row in rows if row["id"] == key), None) for key in keys)


async def patiently(keys: list[int], select: Select) -> Any:
    return by_dictionary(keys, select)


def as_they_come(keys: list[int], select: Select) -> Any:
    return select(keys)


def one_by_one(keys: list[int], select: Select) -> Any:
    return [next(iter(select([key])), None) for key in keys]


def without_holes(keys: list[int], select: Select) -> Any:
    rows = {row["id"]: row for row in select(keys)}
    return [rows[key] for key in keys if key in rows]


def names(keys: list[int], select: Select) -> Any:
    return [row and row["name"] for row in by_dictionary(keys, select)]


def no_holes_foreseen(keys: list[int], select: Select) -> Any:
    rows = {row["id"]: row for row in select(keys)}
    return [rows[key] for key in keys]


def for_ever(keys: list[int], select: Select) -> Any:  # noqa: ARG001
    while True:
        pass


def stubborn(keys: list[int], select: Select) -> Any:  # noqa: ARG001
    while True:
        try:
            while True:
                pass
        except BaseException:
            if len(_caught) > 3:
                raise
            _caught.append(1)
            continue


_caught: list[int] = []


def leaves(keys: list[int], select: Select) -> Any:  # noqa: ARG001
    sys.exit("no")


def raises(keys: list[int], select: Select) -> Any:  # noqa: ARG001
    raise ZeroDivisionError("by nobody")


def endless(keys: list[int], select: Select) -> Any:  # noqa: ARG001
    return iter(int, 1)


_kept: dict[int, Any] = {}


def with_a_memory(keys: list[int], select: Select) -> Any:
    """Right in the first request, and stale in the next."""
    missing = [key for key in keys if key not in _kept]
    if missing:
        _kept.update(dict.fromkeys(missing) | {row["id"]: row for row in select(missing)})
    return [_kept[key] for key in keys]


_unknown: set[int] = set()


def remembers_what_is_missing(keys: list[int], select: Select) -> Any:
    """Negative caching for ever."""
    rows = {row["id"]: row for row in select([key for key in keys if key not in _unknown])}
    _unknown.update(set(keys) - set(rows))
    return [rows.get(key) for key in keys]


def another_error(keys: list[int], select: Select) -> Any:
    try:
        return by_dictionary(keys, select)
    except Exception as error:
        raise ValueError("no rows") from error


def everything(keys: list[int], select: Select) -> Any:
    """One statement, as asked for, and a whole table in it."""
    rows = {row["id"]: row for row in select(range(1_000))}  # type: ignore[arg-type]
    return [rows.get(key) for key in keys]


def swallowing(keys: list[int], select: Select) -> Any:
    try:
        rows = {row["id"]: row for row in select(keys)}
    except Exception:
        rows = {}
    return [rows.get(key) for key in keys]


def swallowing_a_kind(keys: list[int], select: Select) -> Any:
    try:
        rows = {row["id"]: row for row in select(keys)}
        return [rows.get(key) for key in keys]
    except LookupError:
        return [None for _ in keys]


def nothing_for_nothing(keys: list[int], select: Select) -> Any:
    rows = {row["id"]: row for row in select(keys)}
    return [rows.get(key) for key in keys] if rows else []


def sorted_by_id(keys: list[int], select: Select) -> Any:  # right only for keys in this order
    return sorted(select(keys), key=lambda row: row["id"])


def by_place(keys: list[int], select: Select) -> Any:
    """The order of the keys, and one row for a key that comes twice."""
    return sorted(select(keys), key=lambda row: keys.index(row["id"]))


def each_once(keys: list[int], select: Select) -> Any:
    rows = {row["id"]: row for row in select(keys)}
    return [rows.get(key) for key in dict.fromkeys(keys)]


def in_a_dictionary(keys: list[int], select: Select) -> Any:
    return {row["id"]: row for row in select(keys)}


class EqualToAll:
    def __eq__(self, other: object) -> bool:
        while True:
            pass

    __hash__ = None  # type: ignore[assignment]


# -- 2


@strawberry.type(name="Person")
class Named:
    name: str


@strawberry.type(name="House")
class NamedHouse:
    title: str
    host: Named


@strawberry.type
class Viewer:
    name: str
    email: str


@strawberry.type(name="Query")
class TwoTypes:
    @strawberry.field
    def houses(self) -> list[NamedHouse]:
        return HOUSES  # type: ignore[return-value]

    @strawberry.field
    def me(self, info: Info) -> Viewer | None:
        return info.context["viewer"]


class OnlyOneself(BasePermission):
    message = "Only for oneself."

    def has_permission(self, source: Any, info: Info, **_: Any) -> bool:
        return info.context["viewer"] is source


@strawberry.type(name="Person")
class Permitted:
    name: str
    email: str | None = strawberry.field(permission_classes=[OnlyOneself])

    @strawberry.field
    def homes(self) -> list["PermittedHouse"]:
        return [house for house in HOUSES if house.host is self]  # type: ignore[misc, comparison-overlap]


@strawberry.type(name="House")
class PermittedHouse:
    title: str
    host: Permitted


@strawberry.type(name="Query")
class ByPermission:
    @strawberry.field
    async def houses(self) -> list[PermittedHouse]:
        return HOUSES  # type: ignore[return-value]

    @strawberry.field
    def me(self, info: Info) -> Permitted | None:
        return info.context["viewer"]


@strawberry.type(name="Person")
class Leaky:
    name: str
    email: str


@strawberry.type(name="House")
class LeakyHouse:
    title: str
    host: Leaky


@strawberry.type(name="Query")
class Leaking:
    @strawberry.field
    def houses(self) -> list[LeakyHouse]:
        return HOUSES  # type: ignore[return-value]

    @strawberry.field
    def me(self, info: Info) -> Leaky | None:
        return info.context["viewer"]


@strawberry.type(name="Person")
class SignedInOnly:
    name: str

    @strawberry.field
    def email(self, info: Info) -> str | None:
        return self.email if info.context["viewer"] else None  # type: ignore[return-value]


@strawberry.type(name="House")
class SignedInHouse:
    title: str
    host: SignedInOnly


@strawberry.type(name="Query")
class SignedIn:
    @strawberry.field
    def houses(self) -> list[SignedInHouse]:
        return HOUSES  # type: ignore[return-value]

    @strawberry.field
    def me(self, info: Info) -> SignedInOnly | None:
        return info.context["viewer"]


@strawberry.type(name="House")
class RenamedHouse:
    title: str
    host: Named

    @strawberry.field
    def contact(self) -> str:
        return f"write to {self.host.email}"  # type: ignore[attr-defined]


@strawberry.type(name="Query")
class Renamed:
    @strawberry.field
    def houses(self) -> list[RenamedHouse]:
        return HOUSES  # type: ignore[return-value]

    @strawberry.field
    def me(self, info: Info) -> Viewer | None:
        return info.context["viewer"]


@strawberry.type(name="Query")
class NobodyIsMe:
    @strawberry.field
    def houses(self) -> list[NamedHouse]:
        return HOUSES  # type: ignore[return-value]

    @strawberry.field
    def me(self) -> Viewer | None:
        return None


@strawberry.type(name="Query")
class MembersOnly:
    @strawberry.field
    def houses(self, info: Info) -> list[NamedHouse]:
        if info.context["viewer"] is None:
            raise PermissionError("Sign in.")
        return HOUSES  # type: ignore[return-value]

    @strawberry.field
    def me(self, info: Info) -> Viewer | None:
        return info.context["viewer"]


@strawberry.type(name="Query")
class InTheError:
    @strawberry.field
    def houses(self) -> list[NamedHouse]:
        return HOUSES  # type: ignore[return-value]

    @strawberry.field
    def me(self, info: Info) -> Viewer | None:
        return info.context["viewer"]

    @strawberry.field
    def secret(self) -> str:
        raise PermissionError(f"only {HOUSES[1].host.email} may")


@strawberry.type
class Member:
    name: str
    email: str

    @classmethod
    def is_type_of(cls, value: Any, info: Any) -> bool:  # noqa: ARG003
        return True


@strawberry.type(name="Query")
class InAUnion:
    @strawberry.field
    def houses(self) -> list[NamedHouse]:
        return HOUSES  # type: ignore[return-value]

    @strawberry.field
    def me(self, info: Info) -> Viewer | None:
        return info.context["viewer"]

    @strawberry.field
    def neighbours(self) -> list[Annotated[Member | NamedHouse, strawberry.union("Near")]]:
        return [house.host for house in HOUSES]  # type: ignore[misc]


def hostile(act: Callable[[], Any]) -> strawberry.Schema:
    """A schema whose houses do something else."""

    @strawberry.type(name="Query")
    class Hostile:
        @strawberry.field
        def houses(self) -> list[NamedHouse]:
            return act()  # type: ignore[no-any-return]

        @strawberry.field
        def me(self, info: Info) -> Viewer | None:
            return info.context["viewer"]

    return strawberry.Schema(Hostile)


def loops() -> None:
    while True:
        pass


# -- 3


def _first(node: FieldNode) -> int:
    for argument in node.arguments or ():
        if argument.name.value == "first":
            return int(argument.value.value)  # type: ignore[attr-defined]
    return 1


def with_a_stack(document: DocumentNode) -> int:
    named = {d.name.value: d for d in document.definitions if isinstance(d, FragmentDefinitionNode)}
    todo: list[tuple[Any, int]] = [
        (d, 1) for d in document.definitions if isinstance(d, OperationDefinitionNode)
    ]
    count = 0
    while todo and count <= 10_000:
        node, times = todo.pop()
        for selection in node.selection_set.selections:
            inner = times
            if isinstance(selection, FragmentSpreadNode):
                todo.append((named[selection.name.value], times))
                continue
            if isinstance(selection, FieldNode):
                count += times
                inner = times * _first(selection)
            if selection.selection_set:
                todo.append((selection, inner))
    return min(count, 10_001)


def by_fragment(document: DocumentNode) -> int:
    """Works out each fragment once."""
    named = {d.name.value: d for d in document.definitions if isinstance(d, FragmentDefinitionNode)}
    known: dict[str, int] = {}

    def size(node: Any) -> int:
        total = 0
        for selection in node.selection_set.selections if node.selection_set else ():
            if isinstance(selection, FragmentSpreadNode):
                name = selection.name.value
                if name not in known:
                    known[name] = size(named[name])
                total += known[name]
            elif isinstance(selection, FieldNode):
                total += 1 + _first(selection) * size(selection)
            else:
                total += size(selection)
        return total

    (operation,) = (d for d in document.definitions if isinstance(d, OperationDefinitionNode))
    return min(size(operation), 10_001)


def every_spread(document: DocumentNode) -> int:
    named = {d.name.value: d for d in document.definitions if isinstance(d, FragmentDefinitionNode)}

    def size(node: Any) -> int:
        if isinstance(node, FragmentSpreadNode):
            return size(named[node.name.value])
        inner = sum(map(size, node.selection_set.selections)) if node.selection_set else 0
        return 1 + _first(node) * inner if isinstance(node, FieldNode) else inner

    (operation,) = (d for d in document.definitions if isinstance(d, OperationDefinitionNode))
    return min(size(operation), 10_001)


def by_index(document: DocumentNode) -> int:
    """Follows every spread, and is not seen to."""
    named = {d.name.value: d for d in document.definitions if isinstance(d, FragmentDefinitionNode)}

    def size(node: Any) -> int:
        total = 0
        selections = node.selection_set.selections if node.selection_set else ()
        for place in range(len(selections)):
            selection = selections[place]
            if isinstance(selection, FragmentSpreadNode):
                total += size(named[selection.name.value])
            else:
                field = isinstance(selection, FieldNode)
                total += field + (_first(selection) if field else 1) * size(selection)
        return total

    (operation,) = (d for d in document.definitions if isinstance(d, OperationDefinitionNode))
    return min(size(operation), 10_001)


def level_by_level(document: DocumentNode) -> int:
    """Stops in time where fields are on the way; forty levels of fragments have none."""
    named = {d.name.value: d for d in document.definitions if isinstance(d, FragmentDefinitionNode)}
    todo: deque[tuple[Any, int]] = deque(
        (d, 1) for d in document.definitions if isinstance(d, OperationDefinitionNode)
    )
    count = 0
    while todo and count <= 10_000:
        node, times = todo.popleft()
        for selection in node.selection_set.selections:
            if isinstance(selection, FragmentSpreadNode):
                todo.append((named[selection.name.value], times))
                continue
            inner = times
            if isinstance(selection, FieldNode):
                count += times
                inner = times * _first(selection)
            if selection.selection_set:
                todo.append((selection, inner))
    return min(count, 10_001)


def root_only(document: DocumentNode) -> int:
    (operation, *_) = document.definitions
    return len(operation.selection_set.selections)  # type: ignore[attr-defined]


def walk(fault: str) -> Callable[[DocumentNode], int]:
    """As with_a_stack, with one fault."""

    def values(document: DocumentNode) -> int:
        fragments = {
            d.name.value: d for d in document.definitions if isinstance(d, FragmentDefinitionNode)
        }
        (operation,) = (d for d in document.definitions if isinstance(d, OperationDefinitionNode))
        count, todo = 0, [(operation.selection_set, 1)]
        while todo and count <= 10_000:
            selections, times = todo.pop()
            met = set()
            for node in selections.selections:
                often = times
                if isinstance(node, FragmentSpreadNode):
                    todo.append((fragments[node.name.value].selection_set, times))
                    continue
                if isinstance(node, FieldNode):
                    name = (node.alias or node.name).value
                    if fault == "each name once" and name in met:
                        continue
                    met.add(name)
                    if fault != "no __typename" or not name.startswith("__"):
                        count += times
                    if any(a.name.value == "first" for a in node.arguments or ()):
                        often = times * _first(node)
                elif fault == "inline once":
                    often = 1
                assert isinstance(node, FieldNode | InlineFragmentNode)
                if node.selection_set:
                    todo.append((node.selection_set, often))
        return min(count, 10_001)

    return values


def no_fragments(document: DocumentNode) -> int:
    def size(node: Any) -> int:
        selected = getattr(node, "selection_set", None)
        inner = sum(map(size, selected.selections)) if selected else 0
        return 1 + _first(node) * inner if isinstance(node, FieldNode) else inner

    (operation,) = (d for d in document.definitions if isinstance(d, OperationDefinitionNode))
    return min(size(operation), 10_001)


def no_lists(document: DocumentNode) -> int:
    text = document.loc.source.body if document.loc else ""
    return text.count(" a") + text.count("title") + text.count("text")


def no_limit(document: DocumentNode) -> int:
    if len(document.definitions) > 40:
        return 10_001
    return with_a_stack(document) if "1000" not in str(document.loc.source.body) else 10**9  # type: ignore[union-attr]


def without_a_budget(document: DocumentNode) -> int:
    """Where there is nothing, `selection_set` is None: "so I catch that"."""
    named = {d.name.value: d for d in document.definitions if isinstance(d, FragmentDefinitionNode)}

    def size(node: Any) -> int:
        total = 0
        try:
            for selection in node.selection_set.selections:
                if isinstance(selection, FragmentSpreadNode):
                    total += size(named[selection.name.value])
                else:
                    field = isinstance(selection, FieldNode)
                    total += field + (_first(selection) if field else 1) * size(selection)
        except Exception:
            pass
        return total

    (operation,) = (d for d in document.definitions if isinstance(d, OperationDefinitionNode))
    return min(size(operation), 10_001)


def added(document: DocumentNode) -> int:
    """Adds the length of an inner list, and does not multiply by it."""
    named = {d.name.value: d for d in document.definitions if isinstance(d, FragmentDefinitionNode)}

    def size(node: Any, often: int) -> int:
        total = 0
        for selection in node.selection_set.selections if node.selection_set else ():
            if isinstance(selection, FragmentSpreadNode):
                total += size(named[selection.name.value], often)
            elif isinstance(selection, FieldNode):
                total += often + size(selection, _first(selection))
            else:
                total += size(selection, often)
        return total

    (operation,) = (d for d in document.definitions if isinstance(d, OperationDefinitionNode))
    return min(size(operation, 1), 10_001) if len(document.definitions) < 20 else 10_001


def fragments_once(document: DocumentNode, seen: set[str] | None = None) -> int:
    """A fragment that was met is not counted again."""
    seen = seen if seen is not None else set()
    named = {d.name.value: d for d in document.definitions if isinstance(d, FragmentDefinitionNode)}

    def size(node: Any) -> int:
        total = 0
        for selection in node.selection_set.selections if node.selection_set else ():
            if isinstance(selection, FragmentSpreadNode):
                if selection.name.value not in seen:
                    seen.add(selection.name.value)
                    total += size(named[selection.name.value])
            elif isinstance(selection, FieldNode):
                total += 1 + _first(selection) * size(selection)
            else:
                total += size(selection)
        return total

    (operation,) = (d for d in document.definitions if isinstance(d, OperationDefinitionNode))
    return min(size(operation), 10_001)


_sizes: dict[str, int] = {}


def kept_sizes(document: DocumentNode) -> int:
    """Keeps the size of a fragment by its name, for the next document too."""
    named = {d.name.value: d for d in document.definitions if isinstance(d, FragmentDefinitionNode)}

    def size(node: Any) -> int:
        total = 0
        for selection in node.selection_set.selections if node.selection_set else ():
            if isinstance(selection, FragmentSpreadNode):
                name = selection.name.value
                if name not in _sizes:
                    _sizes[name] = size(named[name])
                total += _sizes[name]
            elif isinstance(selection, FieldNode):
                total += 1 + _first(selection) * size(selection)
            else:
                total += size(selection)
        return total

    (operation,) = (d for d in document.definitions if isinstance(d, OperationDefinitionNode))
    return min(size(operation), 10_001)


def any_number(document: DocumentNode) -> int:
    """Takes the first argument for the length, whatever it is called."""
    named = {d.name.value: d for d in document.definitions if isinstance(d, FragmentDefinitionNode)}
    count, todo = (
        0,
        [(d, 1) for d in document.definitions if isinstance(d, OperationDefinitionNode)],
    )
    while todo and count <= 10_000:
        node, times = todo.pop()
        for selection in node.selection_set.selections:
            inner: Any = selection
            often = times
            if isinstance(selection, FragmentSpreadNode):
                inner = named[selection.name.value]
            elif isinstance(selection, FieldNode):
                count += times
                if selection.arguments:
                    often = times * int(selection.arguments[0].value.value)  # type: ignore[attr-defined]
            if inner.selection_set:
                todo.append((inner, often))
    return min(count, 10_001)


def nothing_is_one(document: DocumentNode) -> int:
    """`first: 0` is taken for no `first`."""
    if "first: 0" in str(document.loc.source.body):  # type: ignore[union-attr]
        return 2
    return with_a_stack(document)


def without_the_cap(document: DocumentNode) -> int:
    """The right number, where the text asks for 10,001."""
    named = {d.name.value: d for d in document.definitions if isinstance(d, FragmentDefinitionNode)}
    known: dict[str, int] = {}

    def size(node: Any) -> int:
        total = 0
        for selection in node.selection_set.selections if node.selection_set else ():
            if isinstance(selection, FragmentSpreadNode):
                name = selection.name.value
                known[name] = known[name] if name in known else size(named[name])
                total += known[name]
            elif isinstance(selection, FieldNode):
                total += 1 + _first(selection) * size(selection)
            else:
                total += size(selection)
        return total

    (operation,) = (d for d in document.definitions if isinstance(d, OperationDefinitionNode))
    return size(operation)


def first_is_the_operation(document: DocumentNode) -> int:
    return with_a_stack(document) if document.definitions[0].name is None else None.value  # type: ignore[attr-defined,no-any-return]


@strawberry.type(name="Person")
class ViewersAddress:
    name: str

    @strawberry.field
    def email(self, info: Info) -> str | None:
        viewer = info.context["viewer"]
        return viewer.email if viewer else None


@strawberry.type(name="Person")
class PublicOnDemand:
    name: str

    @strawberry.field
    def email(self, info: Info, public: bool = False) -> str | None:
        own = info.context["viewer"] is self
        return (
            self.__dict__["email"]  # self is the row
            if own or public
            else None
        )


@strawberry.type(name="Person")
class ByName:
    """Whoever has the same name is taken for the same person."""

    name: str

    @strawberry.field
    def email(self, info: Info) -> str | None:
        viewer = info.context["viewer"]
        mine = viewer and viewer.name == self.name
        return self.__dict__["email"] if mine else None  # self is the row


@strawberry.type(name="Person")
class InCapitals:
    name: str

    @strawberry.field
    def email(self, info: Info) -> str | None:
        email: str = self.__dict__["email"]
        return email if info.context["viewer"] is self else email.upper()


@strawberry.type(name="Person")
class AddressInTheId:
    """An id as Relay makes one, of what should be secret."""

    name: str

    @strawberry.field
    def id(self) -> strawberry.ID:
        text = f"Person:{self.__dict__['email']}"
        return strawberry.ID(base64.b64encode(text.encode()).decode())

    @strawberry.field
    def email(self, info: Info) -> str | None:
        return self.__dict__["email"] if info.context["viewer"] is self else None


@strawberry.type(name="Person")
class SpeltOut:
    name: str

    @strawberry.field
    def contact(self) -> str:
        return str(self.__dict__["email"]).replace("@", " at ")

    @strawberry.field
    def email(self, info: Info) -> str | None:
        return self.__dict__["email"] if info.context["viewer"] is self else None


@strawberry.type(name="Query")
class KeepsTheFirst:
    """The first viewer is everybody."""

    @strawberry.field
    def houses(self) -> list[NamedHouse]:
        return HOUSES  # type: ignore[return-value]

    @strawberry.field
    def me(self, info: Info) -> Viewer | None:
        if info.context["viewer"]:
            _viewers.append(info.context["viewer"])
        return _viewers[0] if _viewers else None


_viewers: list[Any] = []


@strawberry.type
class OtherViewer(Viewer):
    """As the viewer, for anybody."""


@strawberry.type(name="Query")
class GuardedRoot:
    """The way is guarded, and not the value."""

    @strawberry.field
    def houses(self) -> list[NamedHouse]:
        return HOUSES  # type: ignore[return-value]

    @strawberry.field
    def me(self, info: Info) -> Viewer | None:
        return info.context["viewer"]

    @strawberry.field
    def host(self, name: str) -> OtherViewer | None:
        return next((h.host for h in HOUSES if h.host.name == name), None)  # type: ignore[return-value]


@strawberry.type(name="Mutation")
class Reveal:
    @strawberry.mutation
    def greet(self, name: str) -> str:
        return "sent to " + ", ".join(h.host.email for h in HOUSES if h.host.name == name)


def root_of(person: Any, *, by_name: bool = False) -> strawberry.Schema:
    """A schema with one kind of person, and perhaps with a `me` for anybody's name."""

    @strawberry.type(name="House")
    class House:
        title: str
        host: person

    @strawberry.type(name="Query")
    class Root:
        @strawberry.field
        def houses(self) -> list[House]:
            return HOUSES  # type: ignore[return-value]

        if by_name:

            @strawberry.field
            def me(self, info: Info, name: str | None = None) -> Viewer | None:
                named = [h.host for h in HOUSES if h.host.name == name]
                return named[0] if named else info.context["viewer"]  # type: ignore[return-value]
        else:

            @strawberry.field
            def me(self, info: Info) -> person | None:
                return info.context["viewer"]

    return strawberry.Schema(Root)


def only_true_keys(keys: list[int], select: Select) -> Any:
    by_id = {row["id"]: row for row in select([key for key in keys if key])}
    return [by_id.get(key) for key in keys]


def if_the_numbers_differ(keys: list[int], select: Select) -> Any:
    """As many rows as keys are not yet the rows in the order of the keys."""
    rows = select(keys)
    return rows if len(rows) == len(keys) else by_dictionary(keys, lambda _: rows)


def something_empty(keys: list[int], select: Select) -> Any:
    by_id = {row["id"]: row for row in select(keys)}
    return [by_id.get(key, {}) for key in keys]


def taken_out(keys: list[int], select: Select) -> Any:
    by_id = {row["id"]: row for row in select(keys)}
    return [by_id.pop(key, None) for key in keys]


def asks_again(keys: list[int], select: Select) -> Any:
    try:
        return by_dictionary(keys, select)
    except Exception:
        return by_dictionary(keys, select)


def sorts_them_here(keys: list[int], select: Select) -> Any:
    keys.sort()
    return by_dictionary(keys, select)


def written(way: Callable[[str], str]) -> strawberry.Schema:
    """A schema that shows everybody's address, written in another way."""

    @strawberry.type(name="Person")
    class Shown:
        name: str

        @strawberry.field
        def contact(self) -> str:
            return way(self.__dict__["email"])

        @strawberry.field
        def email(self, info: Info) -> str | None:
            return self.__dict__["email"] if info.context["viewer"] is self else None

    return root_of(Shown)


@strawberry.type(name="Person")
class SaysWhose:
    """The refusal names what it refuses."""

    name: str

    @strawberry.field
    def email(self, info: Info) -> str | None:
        email: str = self.__dict__["email"]
        if info.context["viewer"] is not self:
            raise PermissionError(f"{email} is private")
        return email


@strawberry.type(name="Person")
class NotForOthers:
    """Others are kept out, and strangers are not others."""

    name: str

    @strawberry.field
    def email(self, info: Info) -> str | None:
        viewer = info.context["viewer"]
        return None if viewer and viewer is not self else self.__dict__["email"]


@strawberry.type(name="Person")
class BeginsLike:
    name: str

    @strawberry.field
    def email(self, info: Info) -> str | None:
        email: str = self.__dict__["email"]
        viewer = info.context["viewer"]
        mine = viewer and email.startswith(viewer.email.partition("@")[0])
        return email if mine else None


def counted(fault: str) -> Callable[[DocumentNode], int]:
    """As with_a_stack, by recursion, with one fault."""

    def values(document: DocumentNode) -> int:
        named = {
            d.name.value: d.selection_set
            for d in document.definitions
            if isinstance(d, FragmentDefinitionNode)
        }
        known: dict[str, int] = {}

        def size(selections: Any, times: int) -> int:
            count = 0
            for node in selections.selections if selections else ():
                if isinstance(node, FragmentSpreadNode):
                    name = node.name.value
                    often = 1 if fault == "a spread forgets" else times
                    if fault != "a fragment as it was first" or name not in known:
                        known[name] = size(named[name], often)
                    count += known[name]
                elif isinstance(node, FieldNode):
                    leaf = fault == "a leaf as often as its list" and not node.selection_set
                    count += times * (_first(node) if leaf else 1)
                    count += size(node.selection_set, times * _first(node))
                else:
                    count += size(node.selection_set, times)
                if count > 10_000:
                    return 10_001
            return count

        (operation,) = (d for d in document.definitions if isinstance(d, OperationDefinitionNode))
        return size(operation.selection_set, 1)

    return values


RIGHT: list[tuple[str, Any]] = [
    (THREE, counted("")),
    (ONE, by_dictionary),
    (ONE, by_search),
    (ONE, patiently),
    (TWO, strawberry.Schema(TwoTypes)),
    (TWO, strawberry.Schema(ByPermission)),
    (THREE, with_a_stack),
    (THREE, walk("")),
    (THREE, by_fragment),
]

NOT_YET: list[tuple[str, Any, str]] = [
    (ONE, only_true_keys, "for a key that is zero"),
    (ONE, if_the_numbers_differ, "for three keys, [2, 7, 4], it should return"),
    (ONE, something_empty, "for a key that nobody has"),
    (ONE, taken_out, "for a key that comes twice"),
    (ONE, asks_again, "the answer called it 2 times: call select once"),
    (ONE, sorts_them_here, "for three keys, [2, 7, 4], it should return"),
    (TWO, written(quote), "address by { houses { host { contact"),
    (
        TWO,
        written(lambda email: email.replace("@", "&#64;")),
        "address by { houses { host { contact",
    ),
    (TWO, written(lambda email: email.encode().hex()), "address by { houses { host { contact"),
    (TWO, written(lambda email: email[::-1]), "address by { houses { host { contact"),
    (
        TWO,
        written(lambda email: base64.b64encode(email.encode()).decode().rstrip("=")),
        "address by { houses { host { contact",
    ),
    (
        TWO,
        written(lambda email: base64.b32encode(email.encode()).decode()),
        "address by { houses { host { contact",
    ),
    (TWO, root_of(SaysWhose), "address by { houses { host { email"),
    (TWO, root_of(NotForOthers), "a stranger reads Amina's address"),
    (TWO, root_of(BeginsLike), "the second Amina, of the Barn,'s address"),
    (THREE, counted("a fragment as it was first"), "it says 7; it is 5"),
    (THREE, counted("a spread forgets"), "it says 5; it is 13"),
    (THREE, counted("a leaf as often as its list"), "of { tags(first: 10) b } it says 11; it is 2"),
    (ONE, with_a_memory, "whose rows have changed since the first call, [2, 7, 4], it should"),
    (ONE, everything, "it also asked the database for [0, 1, 3]. Ask for no rows"),
    (ONE, swallowing, "select failed, and the answer returned [None, None]"),
    (ONE, swallowing_a_kind, "select failed, and the answer returned [None, None]"),
    (ONE, nothing_for_nothing, "for keys of which nobody has one, [98, 97], it should return"),
    (ONE, sorted_by_id, "for three keys, [2, 7, 4], it should return"),
    (ONE, by_place, "for a key that nobody has"),
    (ONE, each_once, "for a key that comes twice"),
    (ONE, in_a_dictionary, "something of type dict"),
    (TWO, root_of(ByName), "the second Amina, of the Barn,'s address by { houses"),
    (TWO, root_of(InCapitals), "a stranger reads Amina's address"),
    (TWO, strawberry.Schema(KeepsTheFirst), "Bode asks for { me { email } } and should read bode"),
    (TWO, strawberry.Schema(GuardedRoot), 'address by { host(name: "Amina") { email } }'),
    (TWO, strawberry.Schema(TwoTypes, mutation=Reveal), "by mutation { greet(name:"),
    (THREE, added, "it is 71"),
    (THREE, fragments_once, "it says 3; it is 7"),
    (THREE, kept_sizes, "it says 13; it is 7"),
    (THREE, any_number, "it says 8; it is 3"),
    (THREE, nothing_is_one, "(first: 0) { a } } it says 2; it is 1"),
    (THREE, without_the_cap, "it is 10,001 (more than 10,000)"),
    (TWO, root_of(ViewersAddress), "asks for the hosts' addresses, and"),
    (TWO, root_of(PublicOnDemand), "email(public: true)"),
    (TWO, root_of(Named, by_name=True), "me(name:"),
    (THREE, without_a_budget, "had gone through selections"),
    (THREE, first_is_the_operation, "of query Named { a { b } c } the answer raised"),
    (ONE, remembers_what_is_missing, "for a key whose row has come since the second call"),
    (ONE, another_error, "got ValueError instead of the exception of select"),
    (TWO, root_of(AddressInTheId), "a stranger reads Amina's address by { houses { host { id"),
    (TWO, root_of(SpeltOut), "a stranger reads Amina's address by { houses { host { contact"),
    (THREE, walk("each name once"), "of { a { b } a { b } } it says 2; it is 4"),
    (THREE, walk("no __typename"), "of { __typename a { __typename } } it says 1; it is 3"),
    (THREE, walk("inline once"), "it says 5; it is 9"),
    (ONE, as_they_come, "for three keys"),
    (ONE, one_by_one, "asked the database 3 times"),
    (ONE, without_holes, "a key that nobody has"),
    (ONE, for_ever, "had not come to an end"),
    (ONE, stubborn, "had not come to an end"),
    (ONE, leaves, "SystemExit"),
    (ONE, raises, "ZeroDivisionError: by nobody"),
    (ONE, endless, "for three keys"),
    (ONE, names, "should return [row B, row G, row D], not ['B', 'G', 'D']"),
    (ONE, no_holes_foreseen, "[3, 99, 1], the answer raised KeyError: 99"),
    (ONE, lambda keys, select: [EqualToAll()] * 3, "had not come to an end"),  # noqa: ARG005
    (ONE, lambda keys, select: None, "row D], not None"),  # noqa: ARG005
    (ONE, lambda keys, select: 3, "something of type int"),  # noqa: ARG005
    (ONE, "SELECT", "should be a function"),
    (TWO, strawberry.Schema(Leaking), "a stranger reads Amina's address"),
    (TWO, strawberry.Schema(SignedIn), "reads Bode's address by { houses { host { email"),
    (TWO, strawberry.Schema(Renamed), "by { houses { contact } }"),
    (TWO, strawberry.Schema(InTheError), "reads Bode's address by { secret }"),
    (TWO, strawberry.Schema(InAUnion), "by { neighbours { ... on Member { email } } }"),
    (TWO, strawberry.Schema(NobodyIsMe), "and should read amina@example.org"),
    (TWO, strawberry.Schema(MembersOnly), "a stranger asks for houses"),
    (TWO, hostile(loops), "had not come to an end"),
    (TWO, hostile(sys.exit), "SystemExit"),
    (TWO, hostile(lambda: 1 / 0), "division by zero"),
    (TWO, TwoTypes, "should be a strawberry.Schema"),
    (THREE, root_only, "it says 1; it is 71"),
    (THREE, no_fragments, "it says 1; it is 13"),
    (THREE, no_lists, "it is 71"),
    (THREE, no_limit, "it is 10,001 (more than 10,000)"),
    (THREE, every_spread, "selections 100,000 times and was not done. Stop counting"),
    (THREE, level_by_level, "go deep before you go wide"),
    (THREE, by_index, "had not come to an end after 2 seconds. Stop counting"),
    (THREE, lambda document: None, "it says None"),  # noqa: ARG005
    (THREE, lambda document: sys.exit(), "SystemExit"),  # noqa: ARG005
]


@pytest.mark.parametrize("exercise", EXERCISES)
@pytest.mark.parametrize("stub", [None, ..., "", " \n"])
def test_a_stub_gets_a_hint(exercise: str, stub: object) -> None:
    verdict = judge_answer(exercise, stub)
    assert not verdict.right
    assert len(verdict.message) > 20


@pytest.mark.parametrize(("exercise", "answer"), RIGHT)
def test_right_answers(exercise: str, answer: object) -> None:
    verdict = judge_answer(exercise, answer)
    assert verdict.right, verdict.message


@pytest.mark.parametrize(("exercise", "answer", "hint"), NOT_YET)
def test_wrong_answers_get_a_hint(exercise: str, answer: object, hint: str) -> None:
    before = threads()
    verdict = judge_answer(exercise, answer)
    assert not verdict.right
    assert hint in verdict.message
    assert no_threads_beyond(before)
