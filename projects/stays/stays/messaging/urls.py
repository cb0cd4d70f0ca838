"""Addresses of conversations."""

from django.urls import path

from stays.messaging import views

urlpatterns = [
    path("conversations", views.ConversationList.as_view()),
    path(
        "conversations/<uuid:conversation_id>/messages",
        views.MessageList.as_view(),
        name="messages",
    ),
    path("conversations/<uuid:conversation_id>/read", views.ConversationRead.as_view()),
]
