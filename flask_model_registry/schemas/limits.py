"""Limits and patterns that several layers share."""

import re

from ..providers.kinds import KINDS
from ..text import UNSAFE

# No empty, '.' or '..' segment, because no URL could name such an id. Python's patterns have no
# Unicode categories. So beyond ASCII, this leaves out blocks of controls, punctuation, symbols
# and private characters, and ``text.problem_of_script`` does the rest.
_EXCLUDED = rf"{UNSAFE}\x80-\xa9\u2000-\u206f\u2190-\u2bff\u3000-\u3003\ue000-\uf8ff"
MODEL_ID = re.compile(
    r"(?!.*(?://|/\.{1,2}(?:/|\Z)))"
    rf"[^{_EXCLUDED}\x20-/:-?\x5b-`{{-}}][^{_EXCLUDED}\x20-*,;-?\x5b-\x5e`{{-~]{{0,254}}(?<!/)"
)
#: The largest id of a row.
MAX_ID = 2**31 - 1
#: The longest text to search for, in characters.
MAX_QUERY_LENGTH = 100
#: The largest number of words to search for. Each word adds the same cost.
MAX_WORDS = 8
#: How many characters of a description are searched; the cost of a search grows with these.
SEARCHED_DESCRIPTION_LENGTH = 512
#: How many characters of a model are searched. Its text only exceeds this with rare letters.
MAX_SEARCH_TEXT_LENGTH = 4096
#: The kinds of secrets that a credential may have.
CREDENTIAL_KINDS = tuple(KINDS)
