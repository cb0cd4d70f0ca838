"""The addresses of registration, tokens, and one's own account."""

from django.urls import path

from stays.accounts import views

urlpatterns = [
    path("auth/register", views.RegisterView.as_view(), name="register"),
    path("auth/login", views.LoginView.as_view(), name="login"),
    path("auth/refresh", views.RefreshView.as_view(), name="refresh"),
    path("auth/logout", views.LogoutView.as_view(), name="logout"),
    path("auth/reset", views.ResetRequestView.as_view(), name="reset-request"),
    path("auth/reset/confirm", views.ResetView.as_view(), name="reset"),
    path("auth/verify", views.VerificationView.as_view(), name="verify"),
    path("me", views.MeView.as_view(), name="me"),
    path("me/password", views.PasswordView.as_view(), name="password"),
    path("me/verification", views.VerificationRequestView.as_view(), name="verification"),
    path("me/sessions", views.SessionList.as_view(), name="sessions"),
    path("me/sessions/<uuid:session_id>", views.SessionDetail.as_view(), name="session"),
    path("me/hosting", views.HostingView.as_view(), name="hosting"),
]
