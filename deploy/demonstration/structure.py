"""The companies of the demonstration programme and their trees of control accounts (PRG-01)."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from deploy.demonstration.draws import check_digit, draw
from deploy.demonstration.people import name_of
from services.accounts.demonstration import Node
from shared.contracts.structure import Level

# How many of a hundred holders, more or less, sit in a department of this name.
_SIZES = {
    "Sales": 9, "Field Service": 8, "Engineering": 6, "Research": 4, "Production": 5, "Retail": 7, "Marketing": 4,
    "Transport": 8, "Warehousing": 5, "Customer Service": 4, "Consulting": 6, "Purchasing": 3, "Facilities": 2,
    "Finance": 2, "Information Technology": 3, "Human Resources": 2, "Legal": 1, "Management Board": 1,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Branch:
    """An intermediate control account with the departments below it, in one country (ISO 3166)."""

    name: str
    country: str
    departments: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Company:
    """A client company; ``key`` begins its users' ids, ``weight`` is its share of all accounts."""

    key: str
    name: str
    number: str
    country: str
    weight: int
    branches: tuple[Branch, ...]

    @property
    def domain(self) -> str:
        """Where its people have their mail; nobody can ever own a domain that ends so."""
        return f"{self.key}.example"


COMPANIES = (
    Company(
        "northmoor", "Northmoor Instruments Ltd", "20000117", "GB", 5,
        (
            Branch("United Kingdom", "GB", ("Sales", "Field Service", "Engineering", "Research", "Purchasing", "Marketing")),
            Branch("Germany", "DE", ("Sales", "Field Service", "Production", "Human Resources")),
            Branch("France", "FR", ("Sales", "Field Service", "Consulting", "Facilities")),
            Branch("Group Functions", "GB", ("Management Board", "Finance", "Legal", "Information Technology")),
        ),
    ),
    Company(
        "valdoree", "Valdorée Cosmétiques SA", "20000224", "FR", 3,
        (
            Branch("France", "FR", ("Retail", "Research", "Production", "Marketing", "Finance")),
            Branch("Germany", "DE", ("Retail", "Marketing", "Customer Service")),
            Branch("United Kingdom", "GB", ("Retail", "Marketing", "Customer Service", "Legal")),
        ),
    ),
    Company(
        "ostermark", "Ostermark Logistik GmbH", "20000331", "DE", 2,
        (
            Branch("Road", "DE", ("Transport", "Warehousing", "Customer Service", "Information Technology")),
            Branch("Sea and Air", "DE", ("Sales", "Customer Service", "Finance")),
        ),
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Department:
    """A basic control account as card accounts need to know it."""

    number: str
    name: str
    country: str
    cost_centre: str
    company: Company
    domain: str


@cache
def nodes() -> tuple[Node, ...]:
    """Return every control account, parents before their children."""
    return tuple(node for place, company in enumerate(COMPANIES, 1) for node in _tree(company, place))


def _tree(company: Company, place: int) -> list[Node]:
    master = _node(company, None, company.name, company.country, (place, 0, 0))
    tree = [master]
    for i, branch in enumerate(company.branches, 1):
        above = _node(company, master, branch.name, branch.country, (place, i, 0))
        below = [
            _node(company, above, name, branch.country, (place, i, j))
            for j, name in enumerate(branch.departments, 1)
        ]
        tree += [above, *below]
    return tree


def _node(company: Company, above: Node | None, name: str, country: str, place: tuple[int, int, int]) -> Node:
    number = number_at(*place)
    return Node(
        number=number,
        name=name,
        level=(Level.MASTER, Level.INTERMEDIATE, Level.BASIC)[sum(map(bool, place)) - 1].value,
        parent=above and above.number,
        path=f"{above.path}/{number}" if above else number,
        company_name=company.name,
        company_number=company.number,
        contact=" ".join(name_of(country, *draw(f"contact {number}")[:2])),
    )


def number_at(company: int, branch: int = 0, department: int = 0) -> str:
    """Return the 15 digits of the control account at a place, each part counted from one, none given as zero."""
    payload = int(f"9999{company:02}{branch:03}{department:05}")
    return f"{payload}{check_digit(payload)}"


@cache
def shares() -> Sequence[Department]:
    """Return the departments, each as often as its share of all accounts makes it."""
    return tuple(
        department
        for i, company in enumerate(COMPANIES, 1)
        for j, branch in enumerate(company.branches, 1)
        for k, name in enumerate(branch.departments, 1)
        for department in [
            Department(number_at(i, j, k), name, branch.country, f"{i}{j}{k:02}", company, company.domain)
        ]
        for _ in range(company.weight * _SIZES[name])
    )
