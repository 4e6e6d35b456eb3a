"""Mail over real SMTP to the loopback sink."""

from __future__ import annotations

import asyncio
import socket
from email import message_from_bytes
from email.policy import default

import pytest

from examples.payables.mail import notice_mail, send_mail
from examples.payables.mail_sink import mail_sink


async def test_a_mail_is_filed_once_however_often_it_is_sent(tmp_path):
    message = notice_mail("abc", "BW-1", "refused", "Ærlig talt\n.\n..dots\n" + "x" * 2000)
    async with mail_sink(tmp_path) as sink:
        for _ in range(3):
            await asyncio.to_thread(send_mail, sink.host, sink.port, message)
    (filed,) = tmp_path.iterdir()
    assert filed.name == "abc.refused@payables.example.eml"
    mail = message_from_bytes(filed.read_bytes(), policy=default)
    assert mail["Subject"] == "refused: BW-1"
    assert mail.get_content().replace("\r\n", "\n").startswith("Ærlig talt\n.\n..dots\nxxx")


async def test_many_mails_at_once_are_all_filed(tmp_path):
    async with mail_sink(tmp_path) as sink:
        await asyncio.gather(
            *(
                asyncio.to_thread(send_mail, sink.host, sink.port, notice_mail(str(at), "N", "booked", "text"))
                for at in range(20)
            )
        )
    assert len(list(tmp_path.iterdir())) == 20


async def test_an_id_cannot_leave_the_folder(tmp_path):
    message = notice_mail("../../evil", "N", "booked", "text")
    async with mail_sink(tmp_path / "mail") as sink:
        await asyncio.to_thread(send_mail, sink.host, sink.port, message)
    assert [path.parent.name for path in tmp_path.rglob("*.eml")] == ["mail"]


async def test_a_client_that_hangs_up_leaves_nothing(tmp_path):
    async with mail_sink(tmp_path) as sink:
        reader, writer = await asyncio.open_connection(sink.host, sink.port)
        await reader.readline()
        writer.write(b"DATA\r\nMessage-ID: <x>\r\n")
        await writer.drain()
        writer.close()
        await writer.wait_closed()
        await asyncio.to_thread(send_mail, sink.host, sink.port, notice_mail("a", "N", "booked", "text"))
    assert [path.name for path in tmp_path.iterdir()] == ["a.booked@payables.example.eml"]


def test_without_a_server_sending_fails_as_a_connection_error():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(ConnectionError):
        send_mail("127.0.0.1", port, notice_mail("a", "N", "booked", "text"))


def test_a_number_cannot_add_headers():
    with pytest.raises(ValueError, match="linefeed"):
        notice_mail("a", "N\r\nBcc: x@example.org", "booked", "text")
