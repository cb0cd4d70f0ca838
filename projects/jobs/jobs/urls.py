"""All addresses. The probes /healthz and /readyz are in jobs.web, which answers them first."""

from django.urls import path
from django.views.decorators.cache import cache_page
from drf_spectacular.views import SpectacularJSONAPIView, SpectacularSwaggerSplitView

from jobs import views, web

urlpatterns = [
    path("", web.start, name="start"),
    path("api/schema", cache_page(3600)(SpectacularJSONAPIView.as_view()), name="schema"),
    path(
        "api/docs",
        SpectacularSwaggerSplitView.as_view(template_name="jobs/docs.html"),
        name="docs",
    ),
    path("api/v1/auth/register", views.RegisterView.as_view()),
    path("api/v1/auth/login", views.LogInView.as_view()),
    path("api/v1/auth/refresh", views.RefreshView.as_view()),
    path("api/v1/auth/logout", views.LogOutView.as_view()),
    path("api/v1/me", views.MeView.as_view()),
    path("api/v1/users", views.UsersView.as_view()),
    path("api/v1/users/<int:pk>", views.UserView.as_view()),
    path("api/v1/employers", views.EmployersView.as_view()),
    path("api/v1/employers/<int:pk>/jobs", views.EmployerJobsView.as_view()),
    path("api/v1/categories", views.CategoriesView.as_view(), name="categories"),
    path("api/v1/categories/<slug:slug>", views.CategoryView.as_view()),
    path("api/v1/jobs", views.JobsView.as_view(), name="jobs"),
    path("api/v1/jobs/<int:pk>", views.JobView.as_view()),
    path("api/v1/jobs/<int:pk>/close", views.CloseJobView.as_view()),
    path("api/v1/applications", views.ApplicationsView.as_view()),
    path("api/v1/applications/<int:pk>", views.ApplicationView.as_view()),
    path("api/v1/applications/<int:pk>/transitions", views.TransitionsView.as_view()),
    path("api/v1/applications/<int:pk>/resume", views.ApplicationResumeView.as_view()),
    path("api/v1/resumes", views.ResumesView.as_view()),
    path("api/v1/resumes/<uuid:pk>", views.ResumeView.as_view()),
]

handler400 = "jobs.problems.bad_request"
handler404 = "jobs.problems.not_found"
handler500 = "jobs.problems.server_error"
