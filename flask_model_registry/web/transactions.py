"""Transactions of requests: with retries, and with signals after the commit."""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any, cast

from flask import current_app
from tenacity import (
    Retrying,
    retry_if_exception,
    stop_after_attempt,
    stop_after_delay,
    wait_random_exponential,
)

from ..db.failures import Failure, driver_failure, failure_of, is_transient
from ..db.session import needs_savepoints
from ..logs import facts
from ..signals import outbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tenacity import RetryCallState

    from ..policy import Actor

TRIES = 4  # attempts at a transaction, in total
_RETRY_SECONDS = 2.0  # seconds after which nothing is retried


def run(
    view: Callable[[Actor], Any],
    actor: Actor,
    *,
    session: Any,
    commit: bool,
    tries: int,
    identify: Callable[[], Actor],
) -> Any:
    """Run a view in a transaction, retrying after a deadlock or serialization failure.

    The transaction commits all or nothing, so it needs no savepoints. Signals are sent afterwards.

    Args:
        identify: Returns the actor before a retry, because the user may be gone.
    """
    calls: list[Callable[[], Any]] = []
    within = partial(transaction, session, commit=commit, calls=calls, savepoints=False)
    failures: list[Exception] = []
    started = monotonic()
    try:
        with within():
            returned = view(actor)
    except Exception as error:
        if not is_transient(error):
            raise
        failures.append(error)
    # Few requests fail, and entering Tenacity costs as many function calls as a query.
    for attempt in retrying(tries, _RETRY_SECONDS + started - monotonic()) if failures else ():
        with attempt:
            if failures:  # which counts as the first attempt
                raise failures.pop()
            actor = identify()
            calls.clear()
            with within():
                returned = view(actor)
    if calls:
        send_signals(session, calls)
    return returned


@contextmanager
def transaction(
    session: Any,
    *,
    commit: bool,
    calls: list[Callable[[], Any]] | None = None,
    savepoints: bool = True,
) -> Iterator[None]:
    """Commit what the block did, or roll it back.

    Args:
        calls: Collects calls to the receivers of signals. Without this argument, the receivers
            are called immediately.
        savepoints: Whether a part of the block may fail by itself.
    """
    outbox_token, savepoints_token = outbox.set(calls), needs_savepoints.set(savepoints)
    try:
        yield
        if commit:
            session.commit()
    except BaseException as error:
        if failure := driver_failure(error):
            # SQLAlchemy has not noticed that the connection broke, and would use it again. With
            # pg8000 a rollback succeeds, because there is nothing to roll back if BEGIN failed.
            session().invalidate()
            raise failure from error
        session.rollback()
        raise
    finally:
        needs_savepoints.reset(savepoints_token)
        outbox.reset(outbox_token)


def send_signals(session: Any, calls: Iterable[Callable[[], Any]]) -> None:
    """Call receivers of signals, and commit what they wrote. If one fails, the change stays."""
    for call in calls:
        try:
            with transaction(session, commit=True):
                call()
        except Exception:
            current_app.logger.exception(
                "model registry: a receiver of a signal failed", extra=facts("receiver-failed")
            )


def keep(session: Any, call: Callable[[], Any]) -> None:
    """Make a call in its own transaction, without retries, because the response is ready."""
    try:
        with transaction(session, commit=True, savepoints=False):
            call()
    except Exception as error:  # such as on a read-only replica
        current_app.logger.warning(
            "model registry: the result of a test was not kept: %s",
            describe(error) if failure_of(error) else type(error).__name__,
            extra=facts("test-not-kept"),
        )


def retrying(max_attempts: int, seconds: float = _RETRY_SECONDS) -> Retrying:
    """Return a loop of attempts at a transaction, which continues after transient failures."""
    return Retrying(
        retry=retry_if_exception(is_transient),
        stop=stop_after_attempt(max_attempts) | stop_after_delay(seconds),
        wait=wait_random_exponential(multiplier=0.02, max=0.25),
        before_sleep=_log_retry,
        reraise=True,
    )


def _log_retry(state: RetryCallState) -> None:
    error = cast("BaseException", state.outcome and state.outcome.exception())
    kind = cast("Failure", failure_of(error)).value  # only a transient failure leads to a retry
    current_app.logger.warning(
        "model registry: retrying after a database failure (%s): %r",
        kind,
        describe(error),
        extra=facts(kind),
    )


def describe(error: Any) -> str:
    """Return the database's message for an error, without statement and parameters."""
    return str(getattr(error, "orig", error))[:500]
