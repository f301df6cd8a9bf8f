"""Mail, by SMTP or into a folder."""

import mailbox
import smtplib
import ssl
import threading
from dataclasses import dataclass
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from pathlib import Path

from notification_service.domain.deliveries import Letter, Outcome
from notification_service.words import Mail, Words, mail_of, one_line

_TEMPORARY = 400
_PERMANENT = 500
_COMPLETED = 250


def compose(letter: Letter, words: Words, sender: str) -> EmailMessage:
    """The message. Its id is the delivery's key, so a second copy is recognised; ``ValueError`` for a bad address."""
    mail: Mail = mail_of(words, letter.full_name, letter.preferences.language)
    message = EmailMessage(policy=SMTP)
    message["From"] = sender
    message["To"] = _recipient(letter)
    message["Subject"] = mail.subject
    message["Date"] = format_datetime(letter.created_at)
    message["Message-ID"] = f"<{letter.delivery.id}@{sender.rpartition('@')[2].rstrip('>')}>"
    message["Auto-Submitted"] = "auto-generated"
    message["X-Saras-Delivery"] = str(letter.delivery.id)
    message.set_content(mail.text)
    message.add_alternative(mail.html, subtype="html")
    return message


def _recipient(letter: Letter) -> Address:
    address = letter.address or ""
    if not address.isascii() or one_line(address) != address:
        raise ValueError("not an address mail can be sent to")
    return Address(display_name=one_line(letter.full_name), addr_spec=address)


@dataclass(frozen=True, slots=True)
class SmtpMail:
    """Hands each message to a server over a connection of its own."""

    host: str
    port: int
    security: str
    user: str | None
    password: str | None
    sender: str
    timeout_s: float

    def __call__(self, letter: Letter, words: Words) -> Outcome:
        """One try."""
        try:
            message = compose(letter, words, self.sender)
        except (ValueError, MessageError, IndexError) as error:
            return Outcome(sent=False, answer=f"the address is not usable: {type(error).__name__}", permanent=True)
        try:
            with self._connected() as server:
                return _hand_over(server, self.sender, letter.address or "", message)
        except smtplib.SMTPAuthenticationError as error:  # ours to mend, the letter is fine
            return Outcome(sent=False, answer=f"{error.smtp_code} the server refused our login")
        except smtplib.SMTPResponseException as error:
            return _answered(error.smtp_code, error.smtp_error)
        except (OSError, smtplib.SMTPException) as error:
            return Outcome(sent=False, answer=f"no answer: {type(error).__name__}")

    def _connected(self) -> smtplib.SMTP:
        context = ssl.create_default_context()
        if self.security == "tls":
            server: smtplib.SMTP = smtplib.SMTP_SSL(self.host, self.port, timeout=self.timeout_s, context=context)
        else:
            server = smtplib.SMTP(self.host, self.port, timeout=self.timeout_s)
        try:
            if self.security == "starttls":
                server.starttls(context=context)
            if self.user is not None:
                server.login(self.user, self.password or "")
        except BaseException:
            server.close()
            raise
        return server


def _hand_over(server: smtplib.SMTP, sender: str, recipient: str, message: EmailMessage) -> Outcome:
    server.ehlo_or_helo_if_needed()
    envelope_sender = sender.rpartition("<")[2].rstrip(">")
    for code, text in (server.mail(envelope_sender), server.rcpt(recipient)):
        if code >= _TEMPORARY:
            return _answered(code, text)
    return _answered(*server.data(message.as_bytes()))


def _answered(code: int, text: bytes | str) -> Outcome:
    said = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    return Outcome(sent=code == _COMPLETED, answer=one_line(f"{code} {said}"), permanent=code >= _PERMANENT)


class FolderMail:
    """Puts each message into a Maildir: a mail server for development."""

    def __init__(self, folder: Path, sender: str) -> None:
        self._folder = folder
        self._sender = sender
        self._lock = threading.Lock()

    def __call__(self, letter: Letter, words: Words) -> Outcome:
        """One try."""
        try:
            message = compose(letter, words, self._sender)
        except (ValueError, MessageError, IndexError) as error:
            return Outcome(sent=False, answer=f"the address is not usable: {type(error).__name__}", permanent=True)
        try:
            with self._lock:
                mailbox.Maildir(self._folder).add(message.as_bytes())
        except OSError as error:
            return Outcome(sent=False, answer=f"the folder: {type(error).__name__}")
        return Outcome(sent=True, answer="in the mail folder")
