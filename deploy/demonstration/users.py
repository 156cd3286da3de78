"""The users of the demonstration programme: one of each role at least, with passwords that everybody can know.

The passwords are words drawn by the user's id. They protect nothing but made-up data, and only where nobody loads the
demonstration programme beside real accounts.
"""

from dataclasses import dataclass

from deploy.demonstration.draws import draw, one_of
from deploy.demonstration.structure import COMPANIES, Company, number_at
from shared.actor import EVERYWHERE, Party
from shared.contracts.types import Language

OPERATOR = "issuer.operator"
_PRINCIPAL = "principal"
_WORDS = (
    "acorn", "amber", "anchor", "apricot", "autumn", "bamboo", "basalt", "beacon", "birch", "bramble", "canyon",
    "cedar", "cinder", "clover", "cobalt", "copper", "coral", "cricket", "crystal", "dahlia", "delta", "ember",
    "falcon", "fennel", "fjord", "garnet", "ginger", "glacier", "granite", "harbour", "hazel", "heather", "indigo",
    "island", "ivory", "jasmine", "juniper", "kestrel", "lagoon", "lantern", "lavender", "linden", "lupin", "maple",
    "marble", "meadow", "nutmeg", "olive", "orchard", "osprey", "pebble", "pepper", "poplar", "quartz", "raven",
    "saffron", "sparrow", "thistle", "timber", "tundra", "velvet", "walnut", "willow", "yarrow",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class DemonstrationUser:
    """A user as identity enrols one; ``control_accounts`` are numbers, or `EVERYWHERE`.

    ``holds`` are the places of the card accounts that are the user's own, counted from one.
    """

    user_id: str
    name: str
    party: Party
    company: str | None
    role: str
    control_accounts: tuple[str, ...]
    email: str
    language: Language
    holds: tuple[int, ...] = ()

    @property
    def password(self) -> str:
        """Four words and four digits, the same every time."""
        *words, digits = draw(f"password {self.user_id}")[:5]
        return "-".join([*(one_of(_WORDS, word) for word in words), f"{digits % 10_000:04}"])


def users() -> list[DemonstrationUser]:
    """Return every user: four for each company, two of the issuer's, two cardholders, and whoever acts on invitation."""
    programme = [
        user for place, company in enumerate(COMPANIES, 1) for user in _administrators(company, place)
    ]
    return [*programme, *_others(COMPANIES[0]), *_holders(), *_issuers()]


def demo_users() -> list[dict[str, str]]:
    """Return ``user_id``, ``password`` and ``role`` of every user, for people to sign in with."""
    return [{"user_id": user.user_id, "password": user.password, "role": user.role} for user in users()]


def language_of(company: Company) -> Language:
    """Return the language of a company's people."""
    return _LANGUAGES.get(company.country, Language.ENGLISH)


def principal_of(company: Company) -> str:
    """Return the user id of a company's principal programme administrator."""
    return f"{company.key}.{_PRINCIPAL}"


def _administrators(company: Company, place: int) -> list[DemonstrationUser]:
    whole, branch = (number_at(place),), (number_at(place, 1),)
    names = _NAMES[company.key]
    return [
        _client(company, "manager", names[0], "programme_manager", whole),
        _client(company, _PRINCIPAL, names[1], "principal_programme_administrator", whole),
        _client(company, "administrator", names[2], "programme_administrator", branch),
        _client(company, "alternate", names[3], "alternate_programme_administrator", whole),
    ]


_LANGUAGES = {"GB": Language.ENGLISH, "FR": Language.FRENCH, "DE": Language.GERMAN}
_NAMES = {
    "northmoor": ("Rosalind Hartley", "Gareth Pritchard", "Meera Sharma", "Duncan Campbell"),
    "valdoree": ("Hélène Delacroix", "Étienne Garnier", "Nadia Benali", "Loïc Le Goff"),
    "ostermark": ("Jürgen Köhler", "Franziska Weiß", "Emre Öztürk", "Wiebke Hansen"),
}


def _others(company: Company) -> list[DemonstrationUser]:
    """Return those who act on invitation, at one company."""
    department = (number_at(1, 1, 1),)
    return [
        _client(company, "approver", "Catherine Whitfield", "application_approver", department),
        _client(company, "voucher", "Patrick Quinn", "identity_voucher", department),
        _client(company, "applicant", "Lewis Barlow", "applicant", department, Party.HOLDER),
    ]


def _holders() -> list[DemonstrationUser]:
    """Return the holders of two of the first card accounts, each with a statement that is not paid yet."""
    fiona = (COMPANIES[0], "cardholder", "Fiona O'Brien", "cardholder", (number_at(1, 1, 2),))
    gisela = (COMPANIES[1], "cardholder", "Gisela Schröder", "cardholder", (number_at(2, 2, 3),))
    return [_client(*fiona, holds=(15,)), _client(*gisela, holds=(49,))]


def _issuers() -> list[DemonstrationUser]:
    return [
        DemonstrationUser(
            user_id=user_id,
            name=name,
            party=Party.ISSUER,
            company=None,
            role=role,
            control_accounts=(EVERYWHERE,),
            email=f"{user_id}@issuer.example",
            language=Language.ENGLISH,
        )
        for user_id, name, role in (
            ("issuer.helpdesk", "Sophie Lambert", "issuer_help_desk"),
            (OPERATOR, "Markus Brandt", "issuer_operator"),
        )
    ]


def _client(
    company: Company,
    job: str,
    name: str,
    role: str,
    numbers: tuple[str, ...],
    party: Party = Party.CLIENT,
    holds: tuple[int, ...] = (),
) -> DemonstrationUser:
    return DemonstrationUser(
        user_id=f"{company.key}.{job}",
        name=name,
        party=Party.HOLDER if holds else party,
        holds=holds,
        company=company.number,
        role=role,
        control_accounts=numbers,
        email=f"{job}@{company.domain}",
        language=language_of(company),
    )
