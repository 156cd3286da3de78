"""Every setting of a Cardwork process: typed, read once from the environment, all mistakes reported together.

``CARDWORK_X_FILE`` names a file that holds the value of ``CARDWORK_X``, as container platforms hand secrets over.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, cast
from zoneinfo import ZoneInfo

from environs import EnvValidationError, FileAwareEnv
from marshmallow import ValidationError
from marshmallow.validate import OneOf, Range
from stdnum import iban

from shared.contracts import load_all
from shared.contracts.base import catalogue
from shared.contracts.service_times import read_service_times

PREFIX = "CARDWORK_"


class BadSettings(Exception):
    """One or more settings are missing or wrong; the message lists each with what it should be."""


def _secret(default: str | None = None) -> Any:
    return field(default=default, repr=False)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings, by subject; the environment variable of each is its name in capitals behind ``CARDWORK_``.

    Without ``database_url`` and ``broker_url`` the process is the embedded shape, on files in ``data_directory``, and
    makes its own keys at the first start.
    """

    data_directory: Path = Path("var")
    database_url: str | None = _secret()
    broker_url: str | None = _secret()
    broker_management_url: str | None = _secret()
    identity_url: str = "http://identity:8080"
    accounts_url: str = "http://accounts:8080"
    tracking_url: str = "http://tracking:8080"
    statements_url: str = "http://statements:8080"

    assertion_private_key: str | None = _secret()
    assertion_public_key: str | None = _secret()
    card_encryption_key: str | None = _secret()
    card_lookup_key: str | None = _secret()
    sealing_key: str | None = _secret()

    host: str = "127.0.0.1"
    port: int = 8000
    health_port: int = 8081
    web_processes: int = 1
    web_threads: int = 32
    largest_body: int = 64 * 1024
    rate_limit: str = "100 per second"
    sign_in_rate_limit: str = "20 per minute"
    secure_transport: bool = False
    service_timeout_seconds: int = 5

    batch: int = 64
    prefetch: int = 512
    linger_milliseconds: int = 5
    attempts: int = 8
    retry_seconds: int = 2
    sweep_seconds: int = 1
    inbox_days: int = 30

    session_minutes: int = 30
    access_code_days: int = 14
    password_reset_minutes: int = 30
    unused_user_days: int = 120
    longest_delegation_days: int = 365
    approval_days: int = 7
    time_zone: str = "UTC"
    renewal_days: int = 30
    issuer_url: str = _secret("simulator://localhost")
    bulk_rows: int = 100_000
    bulk_bytes: int = 20 * 1024 * 1024
    bulk_days: int = 14
    import_bytes: int = 1024 * 1024 * 1024
    layouts_directory: Path = Path("layouts")
    export_layouts_directory: Path = Path("export-layouts")
    dormant_months: int = 18
    payment_days: int = 28

    issuer_name: str = "Cardwork"
    issuer_address: str | None = None
    issuer_iban: str | None = None

    service_times: str | None = None
    tracking_months: int = 84

    portal_url: str = "http://127.0.0.1:8000"
    mail_url: str | None = _secret()
    mail_sender: str = "Cardwork <cardwork@localhost>"
    mail_attempts: int = 12
    mail_days: int = 90

    log_format: str = "json"
    log_level: str = "info"

    @property
    def embedded(self) -> bool:
        """Whether this is the one-process shape."""
        return self.broker_url is None


_CHOICES = {"log_format": ("json", "console"), "log_level": ("debug", "info", "warning", "error")}
_URLS = frozenset(
    {
        "database_url",
        "broker_url",
        "broker_management_url",
        "identity_url",
        "accounts_url",
        "tracking_url",
        "statements_url",
        "portal_url",
        "mail_url",
        "issuer_url",
    }
)


def read_settings() -> Settings:
    """Return the settings of this process; raises BadSettings naming every one that is wrong."""
    env = FileAwareEnv(eager=False)
    with env.prefixed(PREFIX):
        found = {
            setting.name: _read(env, setting.name, setting.type, setting.default)
            for setting in fields(Settings)
        }
    faults = _strays()
    try:
        env.seal()
    except EnvValidationError as error:
        messages = cast(Mapping[str, list[str]], error.error_messages)
        faults += [f"{name}: {' '.join(map(str, what))}" for name, what in sorted(messages.items())]
    if not faults and (found["database_url"] is None) != (found["broker_url"] is None):
        faults.append(
            f"{PREFIX}DATABASE_URL and {PREFIX}BROKER_URL go together: both for many processes, neither for one"
        )
    if faults:
        raise BadSettings("These settings are wrong:\n" + "\n".join(f"  {fault}" for fault in faults))
    return Settings(**found)


def _read(env: FileAwareEnv, name: str, kind: Any, default: Any) -> Any:
    variable = name.upper()
    if kind is int:
        return env.int(variable, default, validate=Range(min=1))
    if kind is bool:
        return env.bool(variable, default)
    if kind is Path:
        return env.path(variable, default)
    if name in _CHOICES:
        return env.str(variable, default, validate=OneOf(_CHOICES[name]))
    if name in _RULES:
        text = env.str(variable, default, validate=_RULES[name])
    else:
        text = env.str(variable, default)
    return text.strip() or None if text else None


def _is_url(text: str | None) -> None:
    if text is None:
        return
    scheme, separator, rest = text.partition("://")
    if not (scheme and separator and rest):
        raise ValidationError("must be a URL, such as amqp://user:password@host/")


def _are_service_times(text: str | None) -> None:
    load_all()
    known = {contract.name for contract in catalogue.commands()}
    try:
        unknown = sorted(read_service_times(text).keys() - known)
    except ValueError as error:
        raise ValidationError(str(error)) from error
    if unknown:
        raise ValidationError(f"there is no command {', '.join(unknown)}")


def _is_time_zone(name: str) -> None:
    try:
        ZoneInfo(name)
    except (LookupError, ValueError, OSError):
        raise ValidationError("must be a time zone of the IANA database, such as Europe/Paris") from None


def _is_iban(text: str | None) -> None:
    if text is not None and not iban.is_valid(text):
        raise ValidationError("must be an IBAN: its check digits do not fit")


_RULES = dict.fromkeys(_URLS, _is_url) | {
    "service_times": _are_service_times,
    "time_zone": _is_time_zone,
    "issuer_iban": _is_iban,
}


def _strays() -> list[str]:
    known = {PREFIX + setting.name.upper() for setting in fields(Settings)}
    known |= {f"{name}_FILE" for name in known}
    ours = [name for name in os.environ if name.startswith(PREFIX) and not name.startswith(f"{PREFIX}TEST_")]
    return [f"{name}: there is no such setting" for name in sorted(ours) if name not in known]
