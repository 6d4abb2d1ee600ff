"""List words that a reader stumbles over, in all that a person reads here; fail if there are any.

Usage: python scripts/prose.py [FILE...]; by default, all files in the repository.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

SUFFIXES = {".cfg", ".html", ".js", ".md", ".py", ".toml", ".ts"}
# A text that CHANGES quotes as it was, and the system's user.
QUOTED = re.compile(r'was "[^"]*"|"nobody"')
WORDS = {
    r"tells? whether": "return whether",
    r"(?:is|are|was|were) told|told (?:of|by|as)": "reported, described",
    r"(?:is|are|was) answered": "returns, responds with",
    r"mend(?:s|ed)?|cures?": "fix",
    r"of (?:yours|ours|theirs)": "your",
    r"(?:some|no|every|any)body|whoever": "user, owner, anyone",
    r"(?:have|has|having) to do with": "is related to",
    r"nothing here that": "not found",
    r"(?:is|are) no (?:setting|model|number|boolean|text|user|blob|key|JSON|string)s?": "is not a",
    r"of (?:any|that|each|this) make": "kind, type",
    r"gives? back": "release, return",
    r"taken? away": "revoke, remove",
    r"do(?:es|ne)? (?:it |this )?again|(?:entered|made|built|asked) anew": "retry, again",
    r"what (?:is|are|was) (?:given|said|asked|told|wrong|left)": "the name of the thing",
    r"as it (?:is|comes|stands)": "unchanged, by default",
    r"how it is called": "name",
    r"to fail is": "fails with",
    r"look(?:s|ed)? after": "manage",
    r"go(?:es)? round": "repeat",
    r"not to be had": "unavailable",
    r"sees? to (?:it|that)": "ensure",
    r"mind that": "note that",
}
# In the package alone, because a page may well show what a model answers.
PACKAGE = Path(__file__).resolve().parent.parent / "flask_model_registry"
WORDS_OF_PACKAGE = {r"answer(?:s|ed|ing)?": "response, returns"}


def rules(words: dict[str, str]) -> list[tuple[re.Pattern[str], str]]:
    """Return a pattern for each of the words, and what to say for it."""
    return [(re.compile(rf"\b(?:{each})\b", re.IGNORECASE), say) for each, say in words.items()]


EVERYWHERE, IN_PACKAGE = rules(WORDS), rules({**WORDS, **WORDS_OF_PACKAGE})


def main(names: list[str]) -> int:
    """Return how many words were found."""
    listed = subprocess.run(["git", "ls-files"], capture_output=True, text=True, check=True)  # noqa: S607
    found = 0
    for path in map(Path, names or listed.stdout.splitlines()):
        if path.suffix not in SUFFIXES or path.resolve() == Path(__file__):
            continue
        is_ours = path.resolve().is_relative_to(PACKAGE)
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            for rule, say in IN_PACKAGE if is_ours else EVERYWHERE:
                for hit in rule.findall(QUOTED.sub("", line)):
                    print(f"{path}:{number}: say {say!r} for {hit!r}")
                    found += 1
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]) > 0)
