"""Addresses of bookings."""

from django.urls import path

from stays.bookings import views

urlpatterns = [
    path("bookings", views.BookingList.as_view(), name="bookings"),
    path("bookings/<uuid:booking_id>", views.BookingDetail.as_view(), name="booking"),
    path("bookings/<uuid:booking_id>/confirm", views.BookingConfirmation.as_view()),
    path("bookings/<uuid:booking_id>/cancel", views.BookingCancellation.as_view()),
]
