"""What comes in, for both APIs: one set of rules. What is not named here cannot be set."""

from collections.abc import Iterable
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints
from pydantic import ValidationError as PydanticError

from feed.errors import Refusal

PRINTABLE = r"^[^\x00]*$"
"""PostgreSQL's texts have no NUL."""


def text(longest: int, shortest: int = 1, pattern: str = PRINTABLE) -> Any:
    """Return the type of a text that is stripped and has a length."""
    return Annotated[
        str,
        StringConstraints(
            strip_whitespace=True, min_length=shortest, max_length=longest, pattern=pattern
        ),
    ]


Name = text(50, pattern=r"^[A-Za-z0-9_.-]+$")
Email = Annotated[
    text(254, pattern=r"^[A-Za-z0-9_.+-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+$"),
    AfterValidator(str.lower),
]
Password = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=PRINTABLE)]
# Only addresses of pages: `javascript:` in a profile would be run by a careless client.
Image = text(500, 0, r"^(https?://[^\s\x00]*)?$")
Tags = Annotated[
    list[text(50)],
    Field(max_length=10),
    AfterValidator(lambda tags: sorted(set(tags))),  # the order that RealWorld wants
]


class Input(BaseModel):
    """What comes in."""

    model_config = ConfigDict(populate_by_name=True)

    @classmethod
    def of(cls, **given: Any) -> Self:
        """Make it of what GraphQL was given.

        Raises:
            Refusal: If it has faults.
        """
        try:
            return cls(**given)
        except PydanticError as error:
            raise invalid(error.errors()) from None

    def given(self) -> dict[str, Any]:
        """Return what was given. A text that was given as null is empty."""
        return {k: "" if v is None else v for k, v in self.model_dump(exclude_unset=True).items()}


def faults(errors: Iterable[Any]) -> list[str]:
    """Return what is wrong, each as `field: what`."""
    skipped = {"body", "query", "path", "payload", "user", "article", "comment"}
    listed = []
    for error in list(errors)[:20]:
        *above, last = error["loc"] or ("body",)
        place = [str(part) for part in above if part not in skipped] + [str(last)]
        listed.append(f"{'.'.join(place)}: {error['msg']}")
    return listed


def invalid(errors: Iterable[Any]) -> Refusal:
    """Return the refusal of input that has faults."""
    return Refusal("; ".join(faults(errors)))


class NewUser(Input):
    """A registration."""

    username: Name
    email: Email
    password: Password


class LogIn(Input):
    """Credentials."""

    email: text(254)
    password: Password


class UserChanges(Input):
    """What changes in an account. What is not given stays as it is."""

    username: Name = ""
    email: Email = ""
    password: Password = ""
    bio: text(1_000, 0) | None = None
    image: Image | None = None


class NewPost(Input):
    """An article."""

    title: text(200)
    description: text(500)
    body: text(20_000)
    tags: Tags = Field(default_factory=list, alias="tagList")


class PostChanges(Input):
    """What changes in an article."""

    title: text(200) = ""
    description: text(500) = ""
    body: text(20_000) = ""
    tags: Tags = Field(default_factory=list, alias="tagList")


class NewComment(Input):
    """A comment."""

    body: text(2_000)


class NewReport(Input):
    """Why the moderators should look at a post."""

    reason: text(500)
