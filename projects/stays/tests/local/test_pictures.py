import re
import threading

import pytest
from django.db import connection

from docs import draw


@pytest.mark.django_db
def test_the_picture_of_the_tables_is_that_of_the_models() -> None:
    connection.ensure_connection()
    source = draw.erd(connection.connection)
    assert source == (draw.FOLDER / "erd.d2").read_text(), "make pictures"
    assert draw.draw(source, gap=30) == (draw.FOLDER / "erd.svg").read_text(), "make pictures"
    assert 'booking_no_overlap: "EXCLUDE (property_id WITH =, stay WITH &&) "' in source


def test_the_picture_of_the_processes_is_that_of_the_running_project() -> None:
    stored = (draw.FOLDER / "architecture.d2").read_text()
    expected = {
        draw.Edge(source, target, said)
        for source, target, speaks in re.findall(r'^(\w+) -> (\w+): "(.*)"$', stored, re.MULTILINE)
        for said in speaks.split("\\n")
    }
    assert len(expected) > 8
    seen, source = draw.observe(threading.Event(), expected)
    assert seen == expected
    assert source == stored, "make pictures"
    assert draw.draw(source) == (draw.FOLDER / "architecture.svg").read_text(), "make pictures"
