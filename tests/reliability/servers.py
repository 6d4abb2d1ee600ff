"""Servers of the test's own, to be killed: Gunicorn, PostgreSQL and MariaDB."""

from __future__ import annotations

import contextlib
import glob
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import sqlalchemy as sa

from tests.ports import free_port

ROOT = Path(__file__).parent.parent.parent
PATIENCE = 300  # seconds for a server to answer


class Server:
    """A process and all that it starts."""

    process = None

    def spawn(self, command, log, **options):
        with Path(log).open("ab") as output:
            self.process = subprocess.Popen(
                command, stdout=output, stderr=output, start_new_session=True, **options
            )

    def kill(self):
        """End them all, with no chance to tidy up."""
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(signal.SIGSTOP)  # so that it starts no more of them
        first = psutil.Process(self.process.pid)
        family = [first, *first.children(recursive=True)]
        for each in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                each.kill()
        self.process.wait()
        wait_for(lambda: not any(map(is_alive, family)))


class Gunicorn(Server):
    """The host's app in several processes, all on one socket, which outlives them."""

    def __init__(
        self,
        environ,
        log,
        *,
        workers,
        kind="--worker-class gthread --threads 4 --preload",
        app="tests.reliability.served_app:create_app()",
    ):
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.address, self.log = self.socket.getsockname(), log
        number = self.socket.fileno()
        options = f"--workers {workers} {kind}".split()
        options += ["--keep-alive", str(PATIENCE)]  # seconds
        logging = ["--access-logfile", f"{log}.requests", "--access-logformat", "%(s)s %(m)s %(U)s"]
        served = ["--bind", f"fd://{number}", app]
        self.spawn(
            [sys.executable, "-m", "gunicorn", *options, *logging, *served],
            log,
            cwd=ROOT,
            env={**os.environ, **environ},
            pass_fds=[number],
        )
        try:
            wait_for(lambda: len(self.workers()) == workers)
        except BaseException:
            self.kill()
            raise

    def answered(self):
        """Return the status, the method and the path of each request so far."""
        log = Path(f"{self.log}.requests").read_text(errors="replace")
        return re.findall(r"^([0-9]{3}) ([A-Z]+) (.*)$", log, re.MULTILINE)

    def workers(self):
        children = psutil.Process(self.process.pid).children()
        return [each for each in children if is_alive(each)]

    def kill_worker(self, chance):
        wait_for(lambda: self._has_killed(chance, self.workers()))

    def _has_killed(self, chance, workers):
        with contextlib.suppress(psutil.NoSuchProcess, IndexError):
            chance.choice(workers).kill()
            return True
        return False

    def kill(self):
        super().kill()
        self.socket.close()


class DatabaseServer(Server):
    """A database server with a folder and a port of its own."""

    account = ""
    url = ""

    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="model-registry-test-"))
        self.log = self.folder.with_suffix(".log")
        self.port = free_port()
        self.options = {}
        if os.geteuid() == 0:  # neither server runs as root
            account = pwd.getpwnam(self.account)
            os.chown(self.folder, account.pw_uid, account.pw_gid)
            self.options = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}

    def __enter__(self):
        try:
            self.run(self.set_up())
            self.start()
            self.create_database()
        except BaseException:
            print(self.log.read_text())  # noqa: T201  # with it would go why
            self.drop()
            raise
        return self

    def __exit__(self, *_):
        self.drop()

    def create_database(self):
        admin = sa.create_engine(self.url.format(self.port, ""), isolation_level="AUTOCOMMIT")
        with admin.connect() as connection:
            connection.exec_driver_sql("CREATE DATABASE host")
        admin.dispose()
        self.url = self.url.format(self.port, "host")

    def run(self, command):
        with self.log.open("ab") as output:
            subprocess.run(
                command, check=True, stdout=output, stderr=output, cwd="/", **self.options
            )

    def start(self):
        self.spawn(self.command(), self.log, cwd="/", **self.options)
        wait_for(self.answers)

    def answers(self):
        engine = sa.create_engine(self.url.format(self.port, ""), poolclass=sa.NullPool)
        with contextlib.suppress(sa.exc.DBAPIError), engine.connect():
            return True
        return False

    def drop(self):
        self.kill()
        shutil.rmtree(self.folder)
        self.log.unlink(missing_ok=True)


class PostgreSQL(DatabaseServer):
    account = "postgres"
    url = "postgresql+psycopg://postgres@127.0.0.1:{}/{}"

    def set_up(self):
        options = "-U postgres -A trust -E UTF8 --locale=C --no-sync".split()
        return [program("initdb"), *options, "-D", self.folder]

    def command(self):
        return [program("postgres"), "-D", self.folder, "-k", self.folder, "-p", str(self.port)]


class MariaDB(DatabaseServer):
    account = "mysql"
    url = "mysql+pymysql://root@127.0.0.1:{}/{}"

    def set_up(self):
        options = "--no-defaults --auth-root-authentication-method=normal --skip-test-db".split()
        return [program("mariadb-install-db"), *options, f"--datadir={self.folder}"]

    def command(self):
        return [
            program("mariadbd"), "--no-defaults", "--bind-address=127.0.0.1", f"--port={self.port}",
            f"--datadir={self.folder}", f"--socket={self.folder}/socket",
        ]  # fmt: skip


DATABASE_SERVERS = {"postgresql": PostgreSQL, "mariadb": MariaDB}


def program(name):
    """Return where a program is; distributions keep some out of the search path."""
    places = [shutil.which(name), shutil.which(name, path="/usr/sbin:/usr/local/sbin")]
    places += sorted(glob.glob(f"/usr/lib/postgresql/*/bin/{name}"), reverse=True)
    found = next(filter(None, places), None)
    if found is None:
        raise FileNotFoundError(f"{name} is not installed")
    return found


def is_alive(process):
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def wait_for(condition):
    """Wait until it holds."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(condition)
        time.sleep(0.05)
