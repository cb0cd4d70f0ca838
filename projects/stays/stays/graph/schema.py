"""The schema. `schema.graphql` is made of it: `manage.py export_schema stays.graph.schema`."""

from typing import Any

import strawberry
from django.conf import settings
from strawberry.extensions import DisableIntrospection, SchemaExtension
from strawberry.schema.config import StrawberryConfig
from strawberry_django.optimizer import DjangoOptimizerExtension

from stays.graph.limits import PAGE, Limits
from stays.graph.mutations import Mutation
from stays.graph.queries import Query
from stays.graph.scalars import SCALARS


class Schema(strawberry.Schema):
    """Strawberry's schema, without its log: the view logs what is worth it."""

    def process_errors(self, errors: Any, execution_context: Any = None) -> None:
        """Do nothing: most errors are the client's."""

    def get_extensions(self, sync: bool = False) -> list[SchemaExtension]:
        """Return the extensions. Clients may ask for the schema only if the settings say so."""
        silent = [] if settings.GRAPHQL_INTROSPECTION else [DisableIntrospection()]
        return [*super().get_extensions(sync), *silent]


schema = Schema(
    query=Query,
    mutation=Mutation,
    extensions=[Limits, DjangoOptimizerExtension],
    config=StrawberryConfig(relay_max_results=PAGE, scalar_map=SCALARS),
)
