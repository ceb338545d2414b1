"""Pages of sign-in. Of allauth's views only these exist, under the names that it looks up."""

from __future__ import annotations

from django.urls import path

from accounts import google_views, views

urlpatterns = [
    path("login", views.login, name="account_login"),
    path("signup", views.signup, name="account_signup"),
    path("accounts/logout/", views.logout, name="account_logout"),
    path("accounts/inactive/", views.inactive, name="account_inactive"),
    path("accounts/confirm-email/", views.confirm_email, name="account_email_verification_sent"),
    path("accounts/login/code/", views.request_code, name="account_request_login_code"),
    path("accounts/login/code/confirm/", views.confirm_code, name="account_confirm_login_code"),
    path("accounts/password/reset/", views.reset_password, name="account_reset_password"),
    path("accounts/password/reset/confirm/", views.confirm_reset, name="account_confirm_password_reset_code"),
    path("accounts/password/reset/complete/", views.complete_reset, name="account_complete_password_reset"),
    path("accounts/password/reset/done/", views.reset_done, name="account_password_reset_completed"),
    path("accounts/password/change/", views.change_password, name="account_change_password"),
    path("accounts/password/set/", views.set_password, name="account_set_password"),
    path("accounts/email/", views.email, name="account_email"),
    path("accounts/reauthenticate/", views.reauthenticate, name="account_reauthenticate"),
    path("accounts/connections/", views.connections, name="socialaccount_connections"),
    path("accounts/google/login/", google_views.start, name="google_login"),
    path("accounts/google/login/callback/", google_views.callback, name="google_callback"),
    path("accounts/google/cancelled/", views.google_cancelled, name="socialaccount_login_cancelled"),
    path("accounts/google/error/", views.google_error, name="socialaccount_login_error"),
]
