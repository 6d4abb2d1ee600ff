"""The texts of all pages, with the one that is made when the documentation is."""

import sys

from tests.doc_runner import PAGES, ROOT

sys.path.insert(0, str(ROOT / "docs"))
import operations

sys.path.pop(0)

DOCS = ROOT / "docs"
GENERATED = DOCS / "operations.md"
TEXTS = {page: page.read_text() for page in PAGES} | {GENERATED: operations.written()}
