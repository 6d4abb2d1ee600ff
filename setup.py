"""The description that package indexes show; all else is in setup.cfg."""

import re
from pathlib import Path

from setuptools import setup

README = Path(__file__).with_name("README.md").read_text(encoding="utf-8")
# Links to files lead nowhere on an index, so the files are named instead. Once the project has a
# public home, they can lead there.
RELATIVE_LINK = re.compile(r"\[([^]]+)]\((?![a-z]+:|#)([^)]+)\)")

setup(long_description=RELATIVE_LINK.sub(r"\1 (`\2`)", README))
