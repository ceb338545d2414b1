"""Addresses of the site's own pages."""

from __future__ import annotations

from django.urls import path

from content import blog_pages, docs_pages, machines, views

urlpatterns = [
    path("", views.landing, name="landing"),
    path("about", views.about, name="about"),
    *docs_pages.urlpatterns,
    *blog_pages.urlpatterns,
    *machines.urlpatterns,
]
