"""`empathy alerts silence` (also `snooze`): nobody is told of some alerts for a while."""

from __future__ import annotations

import getpass
import hashlib

import click

from attune_monitoring.alerts.rule import seconds_of
from attune_monitoring.alerts.silences import Matcher, Silence, matcher_of
from attune_monitoring.cli.present import present
from attune_monitoring.cli.render import clean, program
from attune_monitoring.errors import ConfigError

from .options import wired
from .times import when
from .wiring import Wiring

__all__ = ["command"]


@click.command("silence")
@click.argument("name", required=False)
@click.option("--for", "duration", metavar="DURATION", default="2h", show_default=True, help="30m, 2h, 7d …")
@click.option("--match", metavar="LABEL=VALUE", multiple=True, help="Also !=, and =~ for a pattern; all must hold.")
@click.option("--comment", default="", help="Why; shown beside it.")
@wired
def command(name: str | None, duration: str, match: tuple[str, ...], comment: str, wiring: Wiring) -> None:
    """Tell nobody of the rule NAME, or of alerts whose labels match, for a while.

    Rules are evaluated all the same. What still fires when the silence is over is told then; that something has ended
    which was told before is told at once. A watcher that runs takes it up at its next evaluation.
    """
    if name is None and not match:
        raise click.UsageError("name a rule, or what is to be silenced: --match workflow_name=nightly")
    try:
        matchers = [matcher_of(text) for text in match]
        seconds = seconds_of(duration)
    except ConfigError as error:
        raise click.UsageError(str(error)) from error
    if not seconds:
        raise click.UsageError("--for 0 silences nothing; write 30m, 2h or 7d")
    if name is not None:
        matchers.insert(0, Matcher("rule", "=", wiring.rule(name).name))
    now = present().timestamp()
    identity = repr((matchers, now, seconds))
    silence = Silence(
        id=hashlib.blake2b(identity.encode(), digest_size=4).hexdigest(),
        matchers=tuple(matchers),
        starts_at=now,
        ends_at=now + seconds,
        author=_author(),
        comment=comment,
    )
    outbox = wiring.database(write=True)
    try:
        outbox.add_silence(silence)
    finally:
        outbox.close()
    what = clean(", ".join(map(str, matchers)))
    click.echo(f"Silenced until {when(silence.ends_at)}: {what}")
    click.echo(f"To end it earlier: {program()} alerts silences --expire {silence.id}")


def _author() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user may have no name
        return ""
