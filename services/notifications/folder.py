"""Keeps mails as ``.eml`` files, where there is no mail server: any mail program opens them."""

import os
import sys
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path

from services.notifications.post import Away, Outlet

_OWNER_ALONE = 0o600


class FolderOutlet(Outlet):
    """A file for each mail, named by its Message-ID, so that names sort by age and a mail has one file however often tried.

    With ``console`` each is printed as well: whoever tries Cardwork out reads access codes there.
    """

    def __init__(self, folder: Path, *, console: bool) -> None:
        self._folder = folder
        self._console = console

    def send(self, message: EmailMessage) -> None:
        """Write the file whole or not at all."""
        name = message["Message-ID"].strip("<>").partition("@")[0]
        file = self._folder / f"{name}.eml"
        try:
            self._write(file, message.as_bytes(policy=SMTP))
        except OSError as error:
            raise Away(f"the folder for mails cannot be written: {error.strerror}") from error
        if self._console:
            sys.stdout.write(_notice(message, file))
            sys.stdout.flush()

    def close(self) -> None:
        """Nothing to do: no file stays open."""

    def _write(self, file: Path, content: bytes) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = file.with_suffix(".draft")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _OWNER_ALONE), "wb") as handle:
            handle.write(content)
            handle.flush()
            os.fsync(handle.fileno())
        draft.replace(file)


def _notice(message: EmailMessage, file: Path) -> str:
    text = str(message.get_content()).replace("\r\n", "\n")
    return f"\n--- a mail to {message['To']}, kept as {file}\n{message['Subject']}\n\n{text}---\n\n"
