"""The mail server and its mailbox."""

from __future__ import annotations

import smtplib
from email.message import EmailMessage

import pytest

from tests.sandbox.wire import Client


def send(box: Client, to: str, subject: str = "Your code", text: str = "Code 123456", html: str = "") -> None:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "site@example.com", to, subject
    message.set_content(text)
    if html:
        message.add_alternative(html, subtype="html")
    with smtplib.SMTP("127.0.0.1", box.smtp_port, timeout=10) as server:
        server.send_message(message)


def test_a_mail_can_be_found_by_its_recipient(box: Client) -> None:
    send(box, "asha@example.com", text="Follow http://localhost:8000/confirm/abc.\n")
    send(box, "jonas@example.com", subject="Grüße ✓")
    found = box.control("mail?to=ASHA@example.com")["messages"]
    assert [mail["subject"] for mail in found] == ["Your code"]
    assert found[0]["links"] == ["http://localhost:8000/confirm/abc"]
    assert [mail["subject"] for mail in box.control("mail")["messages"]] == ["Grüße ✓", "Your code"]


def test_the_page_shows_mails_with_links_and_runs_nothing_of_them(box: Client) -> None:
    send(box, "a@example.com", "<b>Hi</b>", "<script>x</script> see http://localhost:8000/a?b=1&c=2 now", "<p>Rich</p>")
    page = box.raw("GET", "/mail", b"").body.decode()
    assert 'href="http://localhost:8000/a?b=1&amp;c=2"' in page
    assert "&lt;script&gt;" in page and "<script>" not in page and "<b>Hi</b>" not in page
    number = box.control("mail")["messages"][0]["n"]
    assert "/html" in box.raw("GET", f"/mail/{number}", b"").body.decode()
    part = box.raw("GET", f"/mail/{number}/html", b"")
    assert b"<p>Rich</p>" in part.body and part.headers["content-security-policy"].startswith("sandbox")
    assert box.raw("GET", "/mail/999999", b"").status == 404


def test_the_server_refuses_as_often_as_ordered(box: Client) -> None:
    box.control("mail-fault", {"times": 2})
    for _ in range(2):
        with pytest.raises(smtplib.SMTPResponseException) as refused:
            send(box, "a@example.com")
        assert refused.value.smtp_code == 451
    send(box, "a@example.com")
    assert len(box.control("mail")["messages"]) == 1


def test_the_last_two_hundred_are_kept(box: Client) -> None:
    with smtplib.SMTP("127.0.0.1", box.smtp_port, timeout=10) as server:
        for number in range(203):
            server.sendmail("s@example.com", ["many@example.com"], f"Subject: {number}\r\n\r\nText")
    subjects = [mail["subject"] for mail in box.control("mail")["messages"]]
    assert len(subjects) == 200 and subjects[0] == "202"
