"""The texts of all pages."""

from tests.doc_runner import PAGES, ROOT

DOCS = ROOT / "docs"
OPERATIONS = DOCS / "operations.md"
TEXTS = {page: page.read_text() for page in PAGES}
