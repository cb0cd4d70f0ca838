"""A mapping changes what it names, and what it should not name is refused with a hint."""

from pathlib import Path

import pytest

from acceptance import run
from acceptance.check import Failed, Skipped
from acceptance.mapping import SECTIONS, Mapping, MappingError, dig, load


def mapping(tmp_path: Path, text: str = "") -> Mapping:
    file = tmp_path / "my.toml"
    file.write_text(text)
    return Mapping.of("notes", file)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('[path]\nlist = "GET /x"', "path, which this suite does not know: did you mean 'paths'?"),
        ('[paths]\nlists = "GET /x"', "paths.lists, .* did you mean 'list'?"),
        ('[paths]\nzzzz = "GET /x"', "known are: docs, schema"),
        ('[fields.note]\ntitel = "x"', "fields.note.titel, .* did you mean 'title'?"),
        ('[auth.login]\ntoken = "x"', "auth.login.token"),
        ('[roles.admn]\nusername = "x"', "roles.admn, .* did you mean 'admin'?"),
        ('[roles.admin]\nuser = "x"', "did you mean 'username'?"),
        ('[paths]\nlist = "/notes"', 'not like "POST'),
        ('[paths]\nlist = "FETCH /notes"', 'not like "POST'),
        ('[paths]\nread = "GET /notes/{id}"', "has {id}; it may have {note}"),
        ('[paths]\nlist = "GET /{x}"', "it may have none"),
        ("[paths]\nlist = 3", "paths.list must be like 'GET /notes', and it is 3"),
        ('paths = "x"', "paths must be a table"),
        ("[paths.list]\na = 1", "paths.list must be like"),
        ("[auth.login]\nform = 1", "auth.login.form must be like False"),
        ("[paths", "is not TOML"),
    ],
)
def test_what_is_not_known_is_refused(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(MappingError, match=says):
        mapping(tmp_path, text)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(MappingError, match="cannot be read: No such file"):
        Mapping.of("notes", tmp_path / "none.toml")


def test_only_what_differs_changes(tmp_path: Path) -> None:
    own = mapping(
        tmp_path,
        """
        [paths]
        update = "PUT /api/notes/{note}/"
        like = ""
        [parameters]
        search = "q"
        title_rising = "sort=title:asc"
        author = ""
        [fields.note]
        title = "data.heading"
        likes = ""
        [auth.login]
        body = { user = "{username}" }
        [headers]
        x-key = "k"
        """,
    )
    assert own.path("update", note=3) == ("PUT", "/api/notes/3/")
    assert own.path("list") == ("GET", "/notes")
    assert own.path("GET /healthz") == ("GET", "/healthz")
    assert own.parameters({"search": "x", "title_rising": 1, "page": 2}) == {
        "q": "x",
        "sort": "title:asc",
        "page": 2,
    }
    assert own.body("note", title="T", likes=3, id=1) == {"data": {"heading": "T"}, "id": 1}
    assert own.field("note", "title", {"data": {"heading": "T"}}) == "T"
    assert own.has("note", "title")
    assert not own.has("note", "title", "likes")
    assert own.data["auth"]["login"]["body"] == {"user": "{username}"}
    assert own.headers() == {"x-key": "k"}
    for call in (
        lambda: own.path("like", note=1),
        lambda: own.parameters({"author": "x"}),
        lambda: own.field("note", "likes", {}),
    ):
        with pytest.raises(Skipped, match="is empty in the mapping"):
            call()


def test_one_run_does_not_change_the_next(tmp_path: Path) -> None:
    before = repr(SECTIONS)
    mapping(tmp_path, '[auth]\nscheme = "Token"\n[roles.user]\nextra = { a = 1 }')
    assert mapping(tmp_path).data["auth"]["scheme"] == "Bearer"
    assert repr(SECTIONS) == before


def test_a_field_that_is_not_there_names_the_key_to_set(tmp_path: Path) -> None:
    with pytest.raises(Failed, match=r"fields\.note\.title of the mapping names it"):
        mapping(tmp_path).field("note", "title", {"name": "x"})


def test_a_suite_that_asks_for_what_its_mapping_lacks_is_broken(tmp_path: Path) -> None:
    own = mapping(tmp_path)
    for call in (lambda: own.path("nothing"), lambda: own.field("note", "x", {})):
        with pytest.raises(MappingError, match="which its mapping lacks"):
            call()


def test_a_value_can_come_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = mapping(tmp_path, '[headers]\nx-key = "$THE_KEY"')
    with pytest.raises(MappingError, match=r"\$THE_KEY, and that variable is not set"):
        own.headers()
    monkeypatch.setenv("THE_KEY", "k")
    assert own.headers() == {"x-key": "k"}


def test_dig() -> None:
    assert dig({"a": [{"b": 1}]}, "a.0.b") == 1
    assert dig([1], "") == [1]
    for path in ("a.b", "b", "a.7"):
        with pytest.raises(LookupError):
            dig({"a": [1]}, path)


@pytest.mark.parametrize("suite", run.names())
def test_every_suite_has_a_mapping_of_known_sections(suite: str) -> None:
    made = Mapping.of(suite)
    assert set(made.data) == set(SECTIONS)
    assert set(made.data["lists"]) == set(SECTIONS["lists"])
    assert set(made.data["auth"]) == set(SECTIONS["auth"])
    for step in ("register", "login", "refresh", "logout", "me"):
        assert set(made.data["auth"][step]) == set(SECTIONS["auth"][step])
    assert load(Path(run.__file__).parent / "suites" / f"{suite}.toml")
