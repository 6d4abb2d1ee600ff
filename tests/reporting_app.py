"""A host whose failures a tool reports, with the tool's defaults; run by test_reports.

Sentry changes a process for good, so it has one of its own. The functions here are the host's.
Unlike a real host's, none has a variable that holds the API key.
"""

from __future__ import annotations

import json
import os
import sqlite3
import sys
from contextlib import suppress
from dataclasses import replace
from io import StringIO
from pathlib import Path

import sqlalchemy as sa
from flask import Flask, request

from flask_model_registry import AesGcmBox, EncryptionKey
from tests import hosts

MARK = "a local variable that tools show"


class Box(AesGcmBox):
    """A box of the host's that fails when asked to."""

    fails = False

    def seal(self, plaintext, context):
        if self.fails:
            del plaintext  # the host's to hide
            mark = MARK
            raise LookupError(mark)
        return super().seal(plaintext, context)


def build(folder):
    def may_share(user):
        raise LookupError(MARK)

    box = Box([EncryptionKey("k", bytes(range(32)))])
    host = hosts.make_host(
        f"sqlite:///{folder / 'host.sqlite'}",
        secret_box=box,
        can_share=may_share,
        user_loader=lambda: host.load("alice") if "X-User" in request.headers else None,
        config={"MODEL_REGISTRY_ALLOWED_HOSTS": ["localhost"]},
    )
    host.box = box
    with host.app.app_context():
        host.registry.create(user=host.load("alice"), **hosts.model(model_id="m"))
        host.db.session.commit()
    return host


def failures(host):
    """Yield calls that fail, each at another depth of the library."""
    create = host.registry.create
    yield "a field", lambda: create(user=host.load("alice"), **hosts.model(model_id=""))
    yield "a name", lambda: create(user=host.load("alice"), **hosts.model(apikey=api_key()))
    yield (
        "a callback",
        lambda: create(user=host.load("alice"), **hosts.model(share_with_users=True)),
    )
    yield "a box", lambda: with_a_broken_box(host)
    yield "a database", lambda: with_a_broken_database(host)
    yield "a transport", lambda: with_a_broken_network(host)
    yield "a configuration", with_a_wrong_configuration


def api_key():
    # Loguru shows the values of what a line names.
    return hosts.CANARY


def with_a_broken_box(host):
    host.box.fails = True
    try:
        host.registry.create(user=host.load("alice"), **hosts.model(model_id="n"))
    finally:
        host.box.fails = False


def with_a_broken_database(host):
    def execute(cursor, statement, *_):
        if "INSERT INTO model_registry_models" in statement:
            raise sqlite3.OperationalError(MARK)

    sa.event.listen(host.db.engine, "do_execute", execute)
    try:
        host.registry.create(user=host.load("alice"), **hosts.model(model_id="n"))
    finally:
        sa.event.remove(host.db.engine, "do_execute", execute)


def with_a_broken_network(host):
    prober = host.services.providers.client
    ticks = iter(range(5))
    transport = prober._transport
    transport._network = replace(transport._network, clock=lambda: next(ticks))
    prober.names("vllm", "http://localhost:1", api_key())


def with_a_wrong_configuration():
    app, (_, _, _, registry, _) = Flask("wrong"), hosts.declare()
    app.config["MODEL_REGISTRY_ENCRYPTION_KEYS"] = f"k:{hosts.CANARY}"
    registry.init_app(app)


def by_sentry_without_bodies(report):
    return by_sentry(report, max_request_body_size="never")


def by_sentry(report, **options):
    import sentry_sdk

    class Kept(sentry_sdk.transport.Transport):
        def capture_envelope(self, envelope):
            report.write(envelope.serialize().decode() + "\n")

    sentry_sdk.init(dsn="https://key@sentry.example.com/1", transport=Kept, **options)
    return sentry_sdk.capture_exception


def by_loguru(report):
    from loguru import logger

    logger.remove()
    logger.add(report, diagnose=True, backtrace=True)
    return lambda error: logger.opt(exception=error).error("it failed")


def by_structlog(report):
    import structlog

    exceptions = structlog.dev.RichTracebackFormatter(show_locals=True, width=200)
    console = structlog.dev.ConsoleRenderer(exception_formatter=exceptions)
    structlog.configure(processors=[console], logger_factory=structlog.PrintLoggerFactory(report))
    return lambda error: structlog.get_logger().error("it failed", exc_info=error)


def by_structlog_dicts(report):
    import structlog

    structlog.configure(
        processors=[structlog.processors.dict_tracebacks, structlog.processors.JSONRenderer()],
        logger_factory=structlog.PrintLoggerFactory(report),
    )
    return lambda error: structlog.get_logger().error("it failed", exc_info=error)


def by_rich(report):
    from rich.console import Console
    from rich.traceback import Traceback

    console = Console(file=report, width=200)
    return lambda error: console.print(
        Traceback.from_exception(type(error), error, error.__traceback__, show_locals=True)
    )


def call_and_report(host, call, capture):
    mark = MARK
    try:
        call()
    except Exception as error:
        capture(error)
        return mark
    return None


def main(tool, folder):
    """Print what a tool reports of each failure, as JSON."""
    hosts.CANARY = os.environ["TEST_API_KEY"]
    report, reports = StringIO(), {}
    capture = globals()[f"by_{tool}"](report)
    host = build(folder)

    def take(name):
        reports[name] = report.getvalue()
        report.seek(0)
        report.truncate()

    with host.app.app_context():
        for name, call in failures(host):
            call_and_report(host, call, capture)
            host.db.session.rollback()
            take(name)
    # As in a server: an escaping exception is logged, or captured by Sentry's own integration.
    host.box.fails = True
    if "sentry" not in tool:
        report_requests(host, capture)
    for name, method, path in (("a request", "POST", "/register"), ("a test", "PUT", "/1")):
        with suppress(Exception):
            host.app.test_client().open(
                hosts.PREFIX + path, method=method, json=hosts.model(), headers={"X-User": "x"}
            )
        take(name)
    sys.stdout.write(json.dumps(reports))


def report_requests(host, capture):
    from flask import got_request_exception

    got_request_exception.connect(
        lambda sender, exception, **_: capture(exception), sender=host.app, weak=False
    )


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
