"""The address of the GraphQL API."""

from django.urls import path

from stays.graph.views import GraphQLView

urlpatterns = [path("graphql", GraphQLView.as_view(), name="graphql")]
