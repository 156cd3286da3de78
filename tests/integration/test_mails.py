"""What happens becomes a mail, in both shapes: from the event in the queue to the file that an operator can open."""

from datetime import timedelta
from pathlib import Path

from shared.clock import utc_now
from shared.contracts.identity import Recipient, UserInvited
from shared.contracts.types import Language
from shared.ids import new_message_id
from shared.messaging.envelope import Envelope, encode
from shared.sealing import Seal
from shared.testing.eventually import eventually
from shared.testing.installation import Installation
from shared.testing.processes import cardwork
from tests.integration.faults.publishing import put

QUEUE = "notifications.events"


def invitation(installation: Installation, address: str, code: str) -> bytes:
    """Return what identity says of a new user."""
    event = UserInvited(
        user="usr_1",
        company="C-1",
        company_name="Company",
        recipient=Recipient(name="Ève Nouvelle", email=address, language=Language.FRENCH),
        access_code=Seal(sealing_key(installation)).close(code),
        expires_at=utc_now() + timedelta(days=1),
    )
    id_ = new_message_id()
    return encode(
        Envelope(
            id=id_, key=event.contract.key, source="identity", time=utc_now(), data=event, correlation_id=id_
        )
    )


def sealing_key(installation: Installation) -> str:
    given = installation.environment.get("CARDWORK_SEALING_KEY")
    return given or Path(installation.folder, "data", "keys", "sealing_key").read_text()


def test_an_invitation_is_mailed_once_in_the_readers_language(installation: Installation) -> None:
    """IDN-02."""
    told = invitation(installation, "eve@example.org", "7K3Q-X9M4")
    put(installation, QUEUE, [told, told])
    put(installation, QUEUE, [invitation(installation, "last@example.org", "0000-0000")])
    eventually(lambda: installation.mails("last@example.org"), describe="both mails went out")
    (mail,) = installation.mails("eve@example.org")
    assert mail["Subject"] == "Votre code d’accès à Cardwork"
    assert "Bonjour Ève Nouvelle," in mail.get_content()
    assert "Votre code d’accès : 7K3Q-X9M4" in mail.get_content()
    listed = cardwork("mail", "list", "--state", "sent", environment=installation.environment)
    assert "access_code (fr)  e•••@example.org" in listed
    said = "\n".join(process.said() for process in installation.processes.values())
    assert "7K3Q-X9M4" not in said
    assert "eve@example.org" not in said
