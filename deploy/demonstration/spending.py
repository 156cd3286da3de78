"""What the holders of the demonstration programme bought: one purchase each, the same every time."""

from collections.abc import Sequence

from deploy.demonstration.draws import draw, one_of
from services.statements.demonstration import Purchase

# Merchant, its category (ISO 18245), where it is, and the least and the most that is spent there, in cents.
_MERCHANTS: Sequence[tuple[str, str, str, str, int, int]] = (
    ("Hôtel du Vieux Pont", "7011", "Lyon", "FR", 89_00, 420_00),
    ("Gasthof Lindenhof", "7011", "Leipzig", "DE", 64_00, 240_00),
    ("Harbour View Hotel", "7011", "Hull", "GB", 75_00, 310_00),
    ("Northern Rail Tickets", "4112", "Leeds", "GB", 8_40, 180_00),
    ("Regionalbahn Elbe", "4112", "Dresden", "DE", 6_20, 129_00),
    ("Trains de l'Ouest", "4112", "Rennes", "FR", 12_00, 160_00),
    ("Sky Lark Airways", "4511", "London", "GB", 79_00, 980_00),
    ("Taxi Rapide", "4121", "Paris", "FR", 9_00, 85_00),
    ("Funktaxi Spree", "4121", "Berlin", "DE", 8_50, 74_00),
    ("Autohof Tanken Mitte", "5541", "Kassel", "DE", 25_00, 118_00),
    ("Station des Alpes", "5541", "Annecy", "FR", 30_00, 124_00),
    ("Brasserie des Halles", "5812", "Lille", "FR", 14_50, 190_00),
    ("The Copper Kettle", "5812", "York", "GB", 9_90, 140_00),
    ("Ratskeller am Markt", "5812", "Bremen", "DE", 12_80, 165_00),
    ("Office & Paper Direct", "5943", "Reading", "GB", 4_99, 350_00),
    ("Bürobedarf Sommer", "5943", "Hannover", "DE", 5_40, 290_00),
    ("Cloudworks Hosting", "7372", "Dublin", "IE", 19_00, 900_00),
    ("Congress Centre West", "7941", "Köln", "DE", 120_00, 1_450_00),
)


def purchase_of(account_id: str) -> Purchase:
    """Return what was bought with a card account."""
    where, amount, *_ = draw(f"purchase {account_id}")
    merchant, category, city, country, least, most = one_of(_MERCHANTS, where)
    return Purchase(least + amount % (most - least), merchant, category, city, country)
