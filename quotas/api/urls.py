"""Addresses below /api."""

from __future__ import annotations

from django.urls import path

from quotas.api import team_views as teams
from quotas.api.key_views import KeyDetail, KeyList, KeyPrevious, KeyRotation
from quotas.api.team_usage_views import TeamUsage
from quotas.api.usage_views import RefusedList, UsageRecordList, UsageView
from quotas.api.views import QuotaView

urlpatterns = [
    path("user/quota", QuotaView.as_view(), name="user_quota"),
    path("user/usage", UsageView.as_view(), name="user_usage"),
    path("user/usage/records", UsageRecordList.as_view(), name="user_usage_records"),
    path("user/usage/refused", RefusedList.as_view(), name="user_usage_refused"),
    path("user/api-keys", KeyList.as_view()),
    path("user/api-keys/<str:key_id>", KeyDetail.as_view()),
    path("user/api-keys/<str:key_id>/rotate", KeyRotation.as_view()),
    path("user/api-keys/<str:key_id>/previous", KeyPrevious.as_view()),
    path("teams", teams.TeamList.as_view()),
    path("teams/join", teams.TeamJoin.as_view()),
    path("teams/<str:team_id>", teams.TeamDetail.as_view(), name="team"),
    path("teams/<str:team_id>/transfer", teams.TeamTransfer.as_view()),
    path("teams/<str:team_id>/members", teams.MemberList.as_view()),
    path("teams/<str:team_id>/members/<str:user_id>", teams.MemberDetail.as_view()),
    path("teams/<str:team_id>/invitations", teams.InvitationList.as_view()),
    path("teams/<str:team_id>/invitations/<str:invitation_id>", teams.InvitationDetail.as_view()),
    path("teams/<str:team_id>/invitations/<str:invitation_id>/resend", teams.InvitationResend.as_view()),
    path("teams/<str:team_id>/usage", TeamUsage.as_view(), name="team_usage"),
]
