"""The addresses of places."""

from django.urls import path

from mysite.listings.views import places

urlpatterns = [path("", places, name="places")]
