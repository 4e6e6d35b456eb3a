"""Mail to the people concerned, over SMTP."""

from __future__ import annotations

import smtplib
from email.message import EmailMessage
from email.policy import SMTP

__all__ = ["notice_mail", "send_mail"]

_DOMAIN = "payables.example"
_TIMEOUT = 10  # seconds
_SUBJECT = 150


def notice_mail(document: str, number: str, status: str, text: str) -> EmailMessage:
    """The mail about one document; its id follows from the document, so that a repeat is recognised."""
    message = EmailMessage(policy=SMTP)
    message["From"] = f"Payables <payables@{_DOMAIN}>"
    message["To"] = f"accounting@{_DOMAIN}"
    message["Subject"] = f"{status}: {number}"[:_SUBJECT]
    message["Message-ID"] = f"<{document}.{status}@{_DOMAIN}>"
    message.set_content(f"{text}\n")
    return message


def send_mail(host: str, port: int, message: EmailMessage) -> None:
    """Hand the mail to the server; raises OSError or SMTPException where it does not take it."""
    with smtplib.SMTP(host, port, timeout=_TIMEOUT) as server:
        server.send_message(message)
