"""Addresses under /api/v1/."""

from django.urls import path

from stays.statistics.views import StatisticsView

urlpatterns = [path("statistics", StatisticsView.as_view(), name="statistics")]
