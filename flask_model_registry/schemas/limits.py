"""The limits that all layers share."""

import re

# No empty, '.' or '..' segment: such an id could not be asked for by its address.
MODEL_ID = re.compile(r"(?!.*(?://|/\.{1,2}(?:/|\Z)))[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,254}(?<!/)")
#: The largest id of a row.
MAX_ID = 2**31 - 1
#: The longest text to search for, in characters.
MOST_SOUGHT = 100
#: How many characters of a column are searched; the cost of a search grows with these.
MOST_SEARCHED = 512
