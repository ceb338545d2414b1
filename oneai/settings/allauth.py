"""django-allauth: e-mail and Google, our pages, our limits."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from oneai import env

# Its backend alone: Django's beside it would hash every wrong password twice, and an unknown
# address's once, which tells the two apart by time.
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]

ACCOUNT_ADAPTER = "accounts.adapters.AccountAdapter"
SOCIALACCOUNT_ADAPTER = "accounts.adapters.SocialAccountAdapter"
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_FORMS = {"signup": "accounts.forms.SignupForm"}
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_USER_DISPLAY = "accounts.adapters.display_name"
ACCOUNT_UNIQUE_EMAIL = True
ACCOUNT_EMAIL_VERIFICATION = "mandatory"
ACCOUNT_EMAIL_VERIFICATION_BY_CODE_ENABLED = True
ACCOUNT_EMAIL_VERIFICATION_SUPPORTS_RESEND = True
ACCOUNT_LOGIN_BY_CODE_ENABLED = True
ACCOUNT_LOGIN_BY_CODE_TIMEOUT = 600
ACCOUNT_LOGIN_BY_CODE_SUPPORTS_RESEND = True
ACCOUNT_PASSWORD_RESET_BY_CODE_ENABLED = True
ACCOUNT_PASSWORD_RESET_BY_CODE_TIMEOUT = 600
ACCOUNT_REAUTHENTICATION_REQUIRED = True
ACCOUNT_EMAIL_NOTIFICATIONS = True
ACCOUNT_SESSION_REMEMBER = True
ACCOUNT_LOGOUT_ON_GET = False
ACCOUNT_PREVENT_ENUMERATION = True
ACCOUNT_CHANGE_EMAIL = True
ACCOUNT_EMAIL_SUBJECT_PREFIX = ""
ACCOUNT_LOGIN_ON_PASSWORD_RESET = False
ACCOUNT_DEFAULT_HTTP_PROTOCOL = urlsplit(env.text("SITE_URL")).scheme or "http"
# Its limits live in the cache and are not exact; accounts.throttles counts these in the database.
ACCOUNT_RATE_LIMITS = dict.fromkeys(
    (
        "login",
        "login_failed",
        "signup",
        "request_login_code",
        "reset_password",
        "reset_password_from_key",
        "change_password",
        "manage_email",
        "reauthenticate",
    )
)
ALLAUTH_TRUSTED_PROXY_COUNT = env.number("TRUSTED_PROXIES", 0)

MFA_ADAPTER = "accounts.second_step.Adapter"
MFA_SUPPORTED_TYPES = ["totp", "recovery_codes", "webauthn"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_TOTP_ISSUER = env.text("SITE_NAME", "OneAI")
MFA_TOTP_TOLERANCE = 1  # of 30 seconds: telephones' clocks differ
MFA_RECOVERY_CODES_SHOW_ONCE = True
MFA_RATE_LIMITS = {"webauthn_login": None}
# A passkey is bound to https, and to plain http only where the site can be reached from this machine alone.
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = urlsplit(env.text("SITE_URL")).scheme != "https"
MFA_FORMS = {
    "authenticate": "accounts.second_step_forms.SignInCode",
    "reauthenticate": "accounts.second_step_forms.ConfirmCode",
    "activate_totp": "accounts.second_step_forms.FirstCode",
    "add_webauthn": "accounts.second_step_forms.NewPasskey",
}

SOCIALACCOUNT_EMAIL_AUTHENTICATION = False
SOCIALACCOUNT_EMAIL_AUTHENTICATION_AUTO_CONNECT = False
SOCIALACCOUNT_LOGIN_ON_GET = False
SOCIALACCOUNT_STORE_TOKENS = False
SOCIALACCOUNT_AUTO_SIGNUP = True
SOCIALACCOUNT_REQUESTS_TIMEOUT = 5


def google_provider(client_id: str, secret: str, base_url: str) -> dict[str, dict[str, Any]]:
    """The Google provider, or none without a client id; ``base_url`` moves its four addresses.

    Signing in by a matching address is the adapter's to decide (accounts.google), never allauth's.
    """
    if not client_id:
        return {}
    provider: dict[str, Any] = {
        "APPS": [{"client_id": client_id, "secret": secret, "key": ""}],
        "SCOPE": ["openid", "email", "profile"],
        "AUTH_PARAMS": {"access_type": "online"},
        "OAUTH_PKCE_ENABLED": True,
    }
    if base_url:
        provider |= {
            "AUTHORIZE_URL": f"{base_url}/o/oauth2/v2/auth",
            "ACCESS_TOKEN_URL": f"{base_url}/token",
            "CERTS_URL": f"{base_url}/oauth2/v1/certs",
            "IDENTITY_URL": f"{base_url}/oauth2/v2/userinfo",
            "ID_TOKEN_ISSUER": base_url,
        }
    return {"google": provider}
