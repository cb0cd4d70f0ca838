"""The schema, as it is told to those who write clients."""

from pathlib import Path

import stays.graph
from stays.graph.queries import NODES
from stays.graph.schema import schema

FILE = Path(stays.graph.__file__).with_name("schema.graphql")


def test_the_file_is_the_schema() -> None:
    """It is written by `manage.py export_schema stays.graph.schema --path <the file>`."""
    assert FILE.read_text() == schema.as_str()


def test_whatever_is_a_node_can_be_found_by_its_id() -> None:
    node = schema._schema.type_map["Node"]
    implementations = {t.name for t in schema._schema.get_possible_types(node)}
    assert implementations == {kind.__name__ for kind in NODES}
