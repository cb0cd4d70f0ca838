"""Addresses of reviews."""

from django.urls import path

from stays.reviews import views

urlpatterns = [
    path("bookings/<uuid:booking_id>/review", views.BookingReview.as_view()),
    path("properties/<slug:slug>/reviews", views.PropertyReviews.as_view()),
]
