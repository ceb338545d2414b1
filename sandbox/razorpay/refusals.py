"""What the imitated Razorpay answers when it says no."""

from __future__ import annotations

from typing import Any


class Refused(Exception):
    """An answer that is an error; raised inside a handler and sent as it is."""

    def __init__(self, description: str, *, status: int = 400, code: str = "BAD_REQUEST_ERROR", **more: Any) -> None:
        super().__init__(description)
        self.status = status
        self.body = {
            "error": {
                "code": code,
                "description": description,
                "source": more.pop("source", "NA"),
                "step": more.pop("step", "NA"),
                "reason": more.pop("reason", "NA"),
                "metadata": more.pop("metadata", {}),
                **more,
            }
        }


UNKNOWN_URL = "The requested URL was not found on the server."
UNKNOWN_ID = "The id provided does not exist"
EDGE_PAGE = (
    "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1></center>\r\n"
    "<hr><center>sandbox edge</center>\r\n</body>\r\n</html>\r\n"
)


def unknown_id(field: str | None = None) -> Refused:
    """400 for an id that this mode of the account does not have."""
    more: dict[str, Any] = {"field": field} if field else {}
    return Refused(UNKNOWN_ID, source="business", step="payment_initiation", reason="input_validation_failed", **more)


def required(field: str) -> Refused:
    """400 for a field that is missing."""
    return Refused(
        f"The {field.replace('_', ' ')} field is required.",
        source="business",
        step="payment_initiation",
        reason="input_validation_failed",
        field=field,
    )


def wrong(field: str, description: str) -> Refused:
    """400 for a field that makes no sense."""
    return Refused(
        description, source="business", step="payment_initiation", reason="input_validation_failed", field=field
    )
