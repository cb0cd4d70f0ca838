import pytest
from django.db import connection

from docs import draw


@pytest.mark.django_db
@pytest.mark.parametrize(("name", "only_keys"), [("erd", False), ("erd-keys", True)])
def test_the_picture_of_the_tables_is_that_of_the_models(name: str, only_keys: bool) -> None:
    connection.ensure_connection()
    source = draw.erd(connection.connection, only_keys=only_keys)
    assert source == (draw.FOLDER / f"{name}.d2").read_text(), "make pictures"
    assert draw.draw(source, gap=30) == (draw.FOLDER / f"{name}.svg").read_text(), "make pictures"
    shown = "" if only_keys else "EXCLUDE (property_id WITH =, stay WITH &&)"
    assert f'booking_no_overlap: "{shown} "' in source


def test_the_picture_of_the_processes_is_drawn_from_its_source() -> None:
    source = (draw.FOLDER / "architecture.d2").read_text()
    assert draw.draw(source) == (draw.FOLDER / "architecture.svg").read_text(), "make pictures"
