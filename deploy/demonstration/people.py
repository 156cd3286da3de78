"""Names, addresses and telephone numbers of people who do not exist, in the countries of the demonstration programme.

The telephone numbers lie in the ranges that each country's regulator keeps free for fiction.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from deploy.demonstration.draws import one_of


@dataclass(frozen=True, slots=True)
class Country:
    """What people and addresses are made of in one country; phones are ranges: a beginning and how many digits follow."""

    first_names: Sequence[str]
    last_names: Sequence[str]
    streets: Sequence[str]
    towns: Sequence[tuple[str, str]]
    number_first: bool
    business_phones: Sequence[tuple[str, int]]
    mobile_phone: tuple[str, int]


COUNTRIES = {
    "GB": Country(
        first_names=(
            "Aisha", "Alan", "Alice", "Amelia", "Andrew", "Beatrice", "Callum", "Catherine", "Charlotte", "Daniel",
            "Deborah", "Duncan", "Edith", "Eleanor", "Emma", "Fiona", "Gareth", "George", "Grace", "Harriet", "Hugh",
            "Imran", "Isla", "Jack", "James", "Joanna", "Kiran", "Laura", "Lewis", "Margaret", "Martin", "Meera",
            "Nathan", "Niamh", "Oliver", "Patrick", "Priya", "Rebecca", "Rhys", "Rosalind", "Samuel", "Sian", "Sophie",
            "Stephen", "Thomas", "Victoria", "William", "Yasmin",
        ),
        last_names=(
            "Abbott", "Ahmed", "Armstrong", "Barlow", "Bennett", "Blackwood", "Byrne", "Campbell", "Carter", "Chapman",
            "Clarke", "Davies", "Dixon", "Ellis", "Evans", "Fletcher", "Foster", "Gallagher", "Gibson", "Graham",
            "Harding", "Hartley", "Hughes", "Iqbal", "Jenkins", "Kaur", "Kelly", "Lambert", "Lawson", "MacDonald",
            "Marsh", "McKenzie", "Morgan", "Murphy", "Nash", "O'Brien", "O'Connor", "Palmer", "Patel", "Pritchard",
            "Quinn", "Reynolds", "Sharma", "Shaw", "Simpson", "Smith-Barry", "Taylor", "Thornton", "Underwood",
            "Walker", "Whitfield", "Wright",
        ),
        streets=(
            "Station Road", "Church Street", "Mill Lane", "Victoria Road", "Park Avenue", "Kings Road", "Bridge Street",
            "Orchard Close", "Queensway", "Meadow View", "Chapel Hill", "The Crescent",
        ),
        towns=(
            ("London", "EC2A 4NE"), ("Leeds", "LS1 4DY"), ("Bristol", "BS1 5TR"), ("Cambridge", "CB2 1TN"),
            ("Cardiff", "CF10 1EP"), ("Edinburgh", "EH2 2ER"), ("Manchester", "M2 3WQ"), ("Reading", "RG1 1JX"),
            ("Sheffield", "S1 2HE"), ("York", "YO1 7HH"),
        ),
        number_first=True,
        business_phones=(("+44 20 7946 0", 3), ("+44 113 496 0", 3), ("+44 117 496 0", 3), ("+44 161 496 0", 3), ("+44 131 496 0", 3)),
        mobile_phone=("+44 7700 900", 3),
    ),
    "FR": Country(
        first_names=(
            "Adèle", "Agnès", "Alain", "Amélie", "André", "Antoine", "Aurélie", "Baptiste", "Benoît", "Camille",
            "Cécile", "Chloé", "Clément", "Damien", "Élodie", "Émile", "Éric", "Étienne", "Fatima", "Florence",
            "François", "Gaëlle", "Guillaume", "Hélène", "Hervé", "Inès", "Jean-Luc", "Jérôme", "Julien", "Karim",
            "Laurent", "Léa", "Loïc", "Lucie", "Manon", "Marie-Claire", "Mathilde", "Nadia", "Noël", "Océane",
            "Pascal", "Raphaël", "René", "Sébastien", "Solène", "Sylvie", "Thérèse", "Yves",
        ),
        last_names=(
            "Aubert", "Barbier", "Beaumont", "Benali", "Bertrand", "Besançon", "Blanchard", "Bonnet", "Boucher",
            "Bourgeois", "Carpentier", "Caron", "Chevalier", "Colin", "Cordier", "Coulon", "Delacroix", "Delaunay",
            "Deschamps", "Dubois", "Dufour", "Dupuis", "Fabre", "Faure", "Fontaine", "Fournier", "Garnier", "Gauthier",
            "Girard", "Guérin", "Haddad", "Hamon", "Joly", "Lacroix", "Lambert", "Le Goff", "Lefèvre", "Lemaître",
            "Mahé", "Marchand", "Mercier", "Moreau", "Noël", "Parmentier", "Perrin", "Poulain", "Renaud", "Rousseau",
            "Saint-Martin", "Tessier", "Vasseur", "Voisin",
        ),
        streets=(
            "rue de la République", "avenue Jean Jaurès", "rue Victor Hugo", "place du Marché", "rue des Lilas",
            "boulevard Gambetta", "rue du Moulin", "quai de la Gare", "rue Pasteur", "allée des Tilleuls",
            "chemin des Vignes", "rue de l'Église",
        ),
        towns=(
            ("Paris", "75011"), ("Lyon", "69003"), ("Lille", "59800"), ("Nantes", "44000"), ("Toulouse", "31000"),
            ("Bordeaux", "33000"), ("Strasbourg", "67000"), ("Rennes", "35000"), ("Grenoble", "38000"), ("Nice", "06000"),
        ),
        number_first=True,
        business_phones=(("+33 1 99 00 ", 4), ("+33 2 61 91 ", 4), ("+33 3 53 01 ", 4), ("+33 4 65 71 ", 4), ("+33 5 36 49 ", 4)),
        mobile_phone=("+33 6 39 98 ", 4),
    ),
    "DE": Country(
        first_names=(
            "Andreas", "Anke", "Anneliese", "Axel", "Ayşe", "Bärbel", "Bernd", "Birgit", "Björn", "Christoph",
            "Cornelia", "Daniela", "Dieter", "Elif", "Emre", "Erika", "Felix", "Franziska", "Frieda", "Gisela", "Götz",
            "Hannelore", "Heiko", "Henrike", "Ingrid", "Jens", "Jörg", "Jürgen", "Karl-Heinz", "Katharina", "Klaus",
            "Leonie", "Lukas", "Mareike", "Markus", "Mehmet", "Moritz", "Nele", "Niklas", "Petra", "Ralf", "Sabine",
            "Silke", "Sönke", "Stefan", "Ulrike", "Wiebke", "Wolfgang",
        ),
        last_names=(
            "Albrecht", "Arslan", "Bäcker", "Baumann", "Berger", "Böhm", "Brandt", "Demir", "Dietrich", "Ebert",
            "Engel", "Fiedler", "Fischer", "Frank", "Fuchs", "Gärtner", "Graf", "Groß", "Haas", "Hansen", "Hoffmann",
            "Jäger", "Jansen", "Kaiser", "Keller", "Köhler", "König", "Krämer", "Kühn", "Lehmann", "Lindner", "Lorenz",
            "Möller", "Müller", "Neumann", "Öztürk", "Peters", "Pohl", "Richter", "Sauer", "Schäfer", "Schröder",
            "Schulte", "Seidel", "Sommer", "Stein", "Thiele", "Vogt", "von Bergen", "Weiß", "Winkler", "Zimmermann",
        ),
        streets=(
            "Bahnhofstraße", "Hauptstraße", "Gartenweg", "Schillerstraße", "Am Markt", "Lindenallee", "Mühlenweg",
            "Kirchgasse", "Hafenstraße", "Goethestraße", "Bergstraße", "Wiesengrund",
        ),
        towns=(
            ("Berlin", "10115"), ("Hamburg", "20095"), ("München", "80331"), ("Köln", "50667"), ("Frankfurt am Main", "60311"),
            ("Stuttgart", "70173"), ("Leipzig", "04109"), ("Bremen", "28195"), ("Nürnberg", "90402"), ("Kiel", "24103"),
        ),
        number_first=False,
        business_phones=(("+49 30 23125 ", 3), ("+49 40 66969 ", 3), ("+49 69 90009 ", 3), ("+49 89 99998 ", 3), ("+49 221 4710 ", 3)),
        mobile_phone=("+49 171 39200 ", 2),
    ),
}  # fmt: skip


def name_of(country: str, first: int, last: int) -> tuple[str, str]:
    """Return the first and the last name that two drawn numbers give."""
    return one_of(COUNTRIES[country].first_names, first), one_of(COUNTRIES[country].last_names, last)


def address_of(country: str, street: int, house: int, town: int) -> tuple[str, str, str]:
    """Return the first line, the town and the postcode of an address."""
    there = COUNTRIES[country]
    name, number = one_of(there.streets, street), house % 180 + 1
    line = f"{number} {name}" if there.number_first else f"{name} {number}"
    return line, *one_of(there.towns, town)


def business_phone_of(country: str, exchange: int, extension: int) -> str:
    """Return a number at work."""
    return _number_in(one_of(COUNTRIES[country].business_phones, exchange), extension)


def mobile_phone_of(country: str, drawn: int) -> str:
    """Return a number of a telephone that people carry about."""
    return _number_in(COUNTRIES[country].mobile_phone, drawn)


def _number_in(range_: tuple[str, int], drawn: int) -> str:
    begin, digits = range_
    return f"{begin}{drawn % 10**digits:0{digits}}"
