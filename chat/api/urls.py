"""The routes of conversations and models below /api/. The streaming ones stand in front of Django."""

from django.urls import path

from chat.api import (
    attachment_views,
    conversation_views,
    file_views,
    folder_views,
    message_views,
    model_views,
    preset_views,
    receipt_views,
    share_views,
)

urlpatterns = [
    path("chat/models", model_views.ModelList.as_view()),
    path("chat/history", message_views.History.as_view()),
    path("conversations", conversation_views.ConversationList.as_view()),
    path("conversations/import", file_views.ConversationImport.as_view()),
    path("conversations/bulk", conversation_views.ConversationBulk.as_view()),
    path("conversations/<str:conversation_id>", conversation_views.ConversationDetail.as_view()),
    path("conversations/<str:conversation_id>/title", conversation_views.ConversationTitleView.as_view()),
    path("conversations/<str:conversation_id>/restore", conversation_views.ConversationRestore.as_view()),
    path("conversations/<str:conversation_id>/export", file_views.ConversationExport.as_view()),
    path("conversations/<str:conversation_id>/share", share_views.ConversationShare.as_view()),
    path("conversations/<str:conversation_id>/messages", message_views.ConversationMessages.as_view()),
    path("folders", folder_views.FolderList.as_view()),
    path("folders/<str:folder_id>", folder_views.FolderDetail.as_view()),
    path("attachments", attachment_views.AttachmentList.as_view()),
    path("attachments/<str:attachment_id>", attachment_views.AttachmentDetail.as_view()),
    path("attachments/<str:attachment_id>/content", attachment_views.AttachmentContent.as_view()),
    path("presets", preset_views.PresetList.as_view()),
    path("presets/<str:preset_id>", preset_views.PresetDetail.as_view()),
    path("messages/<str:message_id>", message_views.MessageDetail.as_view()),
    path("messages/<str:message_id>/receipt", receipt_views.MessageReceipt.as_view()),
]
