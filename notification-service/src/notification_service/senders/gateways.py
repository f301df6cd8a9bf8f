"""SMS, push and chats, through apprise; which provider stands behind each is the operator's address template."""

from dataclasses import dataclass
from urllib.parse import quote

from notification_service.domain.channels import Channel, checked_contact
from notification_service.domain.deliveries import Letter, Outcome
from notification_service.words import Words


@dataclass(frozen=True, slots=True)
class Gateway:
    """``template`` holds the operator's credentials and ``{to}``, where the user's number or id goes."""

    channel: Channel
    template: str

    def __call__(self, letter: Letter, words: Words) -> Outcome:
        """One try."""
        import apprise  # heavy, and wanted by those alone who send this way

        try:
            to = checked_contact(self.channel, letter.address or "")
        except ValueError as error:
            return Outcome(sent=False, answer=str(error), permanent=True)
        service = apprise.Apprise.instantiate(self.template.replace("{to}", quote(to, safe="")))
        if service is None:
            return Outcome(sent=False, answer="the channel's address is not one apprise knows", permanent=True)
        sent = bool(service.notify(title=words.title, body=words.body))
        return Outcome(sent=sent, answer="accepted" if sent else "the provider did not accept it")
