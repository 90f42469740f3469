"""The stuff invented people are made of: names of many cultures, titles, departments, fictional numbers."""

from __future__ import annotations

import unicodedata
from typing import Final

_UNDECOMPOSED: Final = str.maketrans(
    {"ł": "l", "ø": "o", "æ": "ae", "œ": "oe", "ß": "ss", "đ": "d", "ð": "d", "þ": "th", "\u0131": "i"}
)


def folded(text: str) -> str:
    """Lower case without accents, as people write a name into an address: "Núñez" -> "nunez"."""
    lowered = text.casefold().translate(_UNDECOMPOSED)
    if lowered.isascii():
        return lowered
    marked = unicodedata.normalize("NFKD", lowered)
    return "".join(letter for letter in marked if not unicodedata.combining(letter))


def slug(name: str) -> str:
    """Turn a name into part of an address: letters, digits and inner hyphens of its folded form."""
    kept = (letter for letter in folded(name) if letter.isascii() and (letter.isalnum() or letter == "-"))
    return "".join(kept).strip("-")


_FIRST: Final = (
    "James Mary Robert Linda Michael Susan David Karen Olivia Ethan Chloé Zoë José María Lucía Andrés "
    "Íñigo Beatriz João Inês Luís Giulia Matteo Lorenzo Élodie François Camille Jürgen Anke Sören Käthe "
    "Björn Åsa Øyvind Ingrid Łukasz Agnieszka Zdeněk Šárka István Ágnes Dragoș Ioana Olena Dmytro Ayşe "
    "Emre Fatima Omar Layla Yusuf Priya Arjun Ananya Rajesh Wei Xiaoming Mei Hiroshi Yuki Min-jun Ji-woo "
    "Nguyễn Linh Chidi Ngozi Kwame Thandiwe Siobhán Niamh Aroha Jean-Luc Anne-Marie Karl-Heinz Mary-Kate"
)
_LAST: Final = (
    "Smith|Johnson|Williams|Brown|Jones|Miller|Davis|Taylor|Clark|Lewis|O'Brien|O'Connor|McDonald|García|"
    "Núñez|Fernández|García Márquez|Ortega y Gasset|da Silva|Gonçalves|Ferreira dos Santos|Rossi|De Luca|"
    "Lefèvre|Dubois|Saint-Étienne|Müller|Schröder|von der Heide|Groß|Weiß|van den Berg|de Vries|Åkesson|"
    "Lindström|Sørensen|Kowalski|Wiśniewska|Novák|Dvořáková|Szabó|Kovács|Popescu|Ivanenko|Petrov|Yildiz|"
    "Çelik|El-Masri|Al Farsi|Haddad|Khan|Patel|Sharma|Iyer|Chatterjee|Li|Wang|Zhang|Tanaka|Watanabe|Kim|"
    "Park|Trần|Phạm|Okafor|Adeyemi|Mensah|Nkosi|Ngata|Smith-Jones|Taylor-Wood"
)

FIRST_NAMES: Final = tuple((name, slug(name)) for name in _FIRST.split())
LAST_NAMES: Final = tuple((name, slug(name)) for name in _LAST.split("|"))
"""Pairs of a name as written and as it stands in an address."""

TITLES: Final = {
    "Executive": ("CEO", "CTO", "CFO", "COO", "Founder", "Managing Director"),
    "Engineering": ("VP Engineering", "Head of Platform", "Engineering Manager", "Software Engineer"),
    "Sales": ("VP Sales", "Director of Sales", "Sales Manager", "Account Executive"),
    "Marketing": ("VP Marketing", "Head of Growth", "Marketing Manager", "Content Specialist"),
    "Finance": ("Finance Director", "Head of Accounting", "Controller", "Financial Analyst"),
    "Operations": ("VP Operations", "Director of Operations", "Operations Manager", "Buyer"),
    "HR": ("HR Director", "Head of People", "Recruiter", "HR Business Partner"),
}
"""Titles by department, senior ones first."""

JOBS: Final = tuple((department, title) for department, titles in TITLES.items() for title in titles)

DECIDING_WORDS: Final = frozenset({"vp", "head", "director", "founder", "ceo", "cto", "cfo", "coo"})
"""A title with one of these words belongs to a decision-maker."""

_LEGAL: Final = (
    "inc incorporated corp corporation co company llc llp lp ltd limited plc gmbh ag kg ohg se sa sas "
    "sarl bv nv spa srl sl ab as oy oyj aps kk pty pte pvt sro doo zrt kft and"
)
LEGAL_FORMS: Final = frozenset(_LEGAL.split())
"""Trailing words that are no part of a company's name; `and` is what "& Co" leaves behind."""

_FREE_MAIL: Final = (
    "gmail.com googlemail.com yahoo.com hotmail.com outlook.com icloud.com aol.com proton.me gmx.de web.de"
)
FREE_MAIL: Final = frozenset(_FREE_MAIL.split())
"""Domains that belong to nobody's company; nobody works there."""

GUIDE_PEOPLE: Final = {
    "acme.com": (("Jane", "Smith", "CEO", "Executive", "jane.smith"),),
    "company.com": (("John", "Doe", "CTO", "Executive", "john.doe"),),
    "globex.com": (("Hank", "Scorpio", "CEO", "Executive", "hank.scorpio"),),
    "innovateinc.com": (("Jane", "Smith", "Founder", "Executive", "jane"),),
    "techcorp.com": (("John", "Doe", "VP Engineering", "Engineering", "john"),),
    "techstart.com": (("Ana", "Núñez", "CTO", "Executive", "ana.nunez"),),
}
"""Companies of the guide's own examples: always known, whatever the seed, and led by these people."""

AREA_CODES: Final = (212, 415, 312, 617, 206, 512, 303, 404, 555)
"""North American areas; with the exchange 555 and the line 01xx they are kept for fiction."""
