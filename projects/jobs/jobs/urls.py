"""All addresses. The probes /healthz and /readyz are in jobs.web, which answers them first."""

from django.urls import path
from drf_spectacular.views import SpectacularJSONAPIView, SpectacularSwaggerSplitView

from jobs import views, web

urlpatterns = [
    path("", web.start, name="start"),
    path("api/schema", SpectacularJSONAPIView.as_view(), name="schema"),
    path(
        "api/docs",
        SpectacularSwaggerSplitView.as_view(template_name="jobs/docs.html"),
        name="docs",
    ),
    path("api/v1/auth/register", views.RegisterView.as_view(), name="register"),
    path("api/v1/auth/login", views.LogInView.as_view(), name="log-in"),
    path("api/v1/auth/refresh", views.RefreshView.as_view(), name="refresh"),
    path("api/v1/auth/logout", views.LogOutView.as_view(), name="log-out"),
    path("api/v1/me", views.MeView.as_view(), name="me"),
    path("api/v1/users", views.UsersView.as_view(), name="users"),
    path("api/v1/users/<int:pk>", views.UserView.as_view(), name="user"),
    path("api/v1/employers", views.EmployersView.as_view(), name="employers"),
    path("api/v1/employers/<int:pk>/jobs", views.EmployerJobsView.as_view(), name="employer-jobs"),
    path("api/v1/categories", views.CategoriesView.as_view(), name="categories"),
    path("api/v1/categories/<slug:slug>", views.CategoryView.as_view(), name="category"),
    path("api/v1/jobs", views.JobsView.as_view(), name="jobs"),
    path("api/v1/jobs/<int:pk>", views.JobView.as_view(), name="job"),
    path("api/v1/jobs/<int:pk>/close", views.CloseJobView.as_view(), name="close-job"),
    path("api/v1/applications", views.ApplicationsView.as_view(), name="applications"),
    path("api/v1/applications/<int:pk>", views.ApplicationView.as_view(), name="application"),
    path(
        "api/v1/applications/<int:pk>/transitions",
        views.TransitionsView.as_view(),
        name="transitions",
    ),
    path(
        "api/v1/applications/<int:pk>/resume",
        views.ApplicationResumeView.as_view(),
        name="application-resume",
    ),
    path("api/v1/resumes", views.ResumesView.as_view(), name="resumes"),
    path("api/v1/resumes/<uuid:pk>", views.ResumeView.as_view(), name="resume"),
]

handler400 = "jobs.problems.bad_request"
handler404 = "jobs.problems.not_found"
handler500 = "jobs.problems.server_error"
