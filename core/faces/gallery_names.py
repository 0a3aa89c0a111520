"""Names of persons: any language, quotes, emoji and markup included, but nothing that cannot be seen or stored.

Two names are the same when they differ only in case, in spaces or in how Unicode spells their letters (NFKC and case
folding, Unicode Standard Annex 15 and section 3.13).
"""

from __future__ import annotations

import hashlib
import re
import unicodedata

from core.faces.gallery_types import NameRefused

MAX_NAME_LENGTH = 200
MAX_SOURCE_LENGTH = 120
# They turn the direction of what follows: a name that holds one rearranges the table that it stands in.
DIRECTION_MARKS = re.compile("[\u202a-\u202e\u2066-\u2069]")


def checked_name(text: str) -> str:
    """The name as it is stored: composed letters, single spaces.

    Raises:
        NameRefused: If nothing is left of it, it is too long, or holds control characters.

    >>> checked_name("  Ada   King ")
    'Ada King'
    """
    if len(text) > 20 * MAX_NAME_LENGTH:
        raise NameRefused(_too_long(len(text)))
    if any(0xD800 <= ord(letter) <= 0xDFFF for letter in text):
        raise NameRefused("This name holds half of a character, which cannot be stored; type it again.")
    name = " ".join(unicodedata.normalize("NFC", text).split())
    if any(unicodedata.category(letter) == "Cc" for letter in name) or DIRECTION_MARKS.search(name):
        raise NameRefused("A name may hold letters, digits, signs and emoji, but no control characters.")
    if not any(unicodedata.category(letter)[0] in "LNPS" for letter in name):
        raise NameRefused("A person needs a name: type at least one letter.")
    if len(name) > MAX_NAME_LENGTH:
        raise NameRefused(_too_long(len(name)))
    return name


def _too_long(length: int) -> str:
    return f"A name has at most {MAX_NAME_LENGTH} characters; this one has {length:,}."


def name_key(name: str) -> str:
    """What two spellings of the same name have in common.

    >>> name_key("ADA Ｋing") == name_key("Ada King")
    True
    """
    return " ".join(unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold()).split())


def name_sha256(name: str) -> str:
    """A short stand-in for `name_key`, in hexadecimal digits.

    >>> name_sha256("ADA King") == name_sha256("Ada King"), len(name_sha256("Ada King"))
    (True, 64)
    """
    return hashlib.sha256(name_key(name).encode()).hexdigest()


def checked_source(text: str) -> str:
    """Where a photo came from, as it is stored: one line, at most `MAX_SOURCE_LENGTH` characters.

    >>> checked_source(f"holiday{chr(10)}me.jpg")
    'holiday me.jpg'
    """
    letters = (" " if unicodedata.category(letter) in ("Cc", "Cs") else letter for letter in text[:1000])
    return " ".join(DIRECTION_MARKS.sub("", "".join(letters)).split())[:MAX_SOURCE_LENGTH]


def shown(name: str, longest: int = 60) -> str:
    """A name inside a sentence: in quotation marks, shortened where it is long.

    >>> shown("Ada"), shown("A" * 100, 5)
    ('“Ada”', '“AAAAA…”')
    """
    return f"“{name}”" if len(name) <= longest else f"“{name[:longest]}…”"
