"""Texts that people write."""

from stays.common.errors import Invalid


def checked_text(text: str, *, field: str, at_most: int, blank: bool = False) -> str:
    """Return a text without the blanks around it.

    Args:
        text: What somebody wrote.
        field: What to call it in the refusal.
        at_most: How many characters it may have.
        blank: Whether it may be empty.

    Raises:
        Invalid: if it is empty or too long, or PostgreSQL cannot keep it: U+0000, half a surrogate
            pair.
    """
    text = text.strip()
    if not text and not blank:
        raise Invalid("This is empty.", code="blank", field=field)
    if len(text) > at_most:
        raise Invalid(f"At most {at_most} characters.", code="max_length", field=field)
    if any(character == "\0" or "\ud800" <= character <= "\udfff" for character in text):
        raise Invalid("This holds what is no character.", code="characters", field=field)
    return text
