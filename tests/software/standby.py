"""A standby of PostgreSQL, and a check that the servers of a test are installed."""

import re

from tests.reliability.servers import PostgreSQL, program
from tests.software.conftest import RAN, missing, printed


class Standby(PostgreSQL):
    """Follows a primary as a hot standby."""

    def __init__(self, primary):
        super().__init__()
        self.primary = primary

    def set_up(self):
        options = "-h 127.0.0.1 -U postgres -R -X stream -c fast --no-sync".split()
        return [
            program("pg_basebackup"), *options, "-p", str(self.primary.port), "-D", self.folder,
        ]  # fmt: skip

    def create_database(self):
        """It has that of the primary."""
        self.url = self.url.format(self.port, "host")


def needs(server, *others):
    try:
        path, *_ = [program(name) for name in (server, *others)]
    except FileNotFoundError as error:
        missing(str(error).removesuffix(" is not installed"))
    RAN.add(f"{server} {re.search(r'[0-9][0-9.]+', printed(path, '--version'))[0]}")
