"""`empathy signoz up`: starts the local stack and says where to look."""

from __future__ import annotations

import click

from attune_monitoring.cli.render import clean, program

from .server import URL
from .stack import Stack, StackError, stack_here

__all__ = ["command"]


@click.command("up")
@click.option("--login", is_flag=True, help="With sign-in; its credentials stand in .env, see .env.example.")
@click.option(
    "--profile",
    "profiles",
    multiple=True,
    type=click.Choice(["demo", "alerts"]),
    help="demo sends live traffic of a simulated pipeline; alerts runs the rules of a file on it. May be repeated.",
)
@click.option("--wait/--no-wait", default=True, show_default=True, help="Until all services are healthy.")
@click.option("--wait-timeout", type=click.IntRange(min=1), default=600, show_default=True, help="Seconds, for --wait.")
def command(login: bool, profiles: tuple[str, ...], wait: bool, wait_timeout: int) -> None:
    """Start SigNoz with dashboards and rules in Docker (4 GB), reachable from this machine only.

    In a clone its files are used, else those that came with the package. The first start downloads images. Without
    --login nobody signs in.
    """
    folder = stack_here()
    stack = Stack(folder, login=login)
    stack.check()
    click.echo(f"The files of the stack: {clean(folder)}", err=True)
    waiting = ("--wait", "--wait-timeout", str(wait_timeout)) if wait else ()
    try:
        stack.compose("up", "--detach", "--build", *waiting, profiles=profiles)
    except StackError as error:
        hint = f". Credentials for --login stand in {folder / '.env'}; .env.example there says which" if login else ""
        raise StackError(f"{error}{hint}") from error
    # Telemetry is taken even where provisioning has failed, so Compose does not call that a failure.
    broken = [service.name for service in stack.services() if not service.works] if wait else []
    if broken:
        raise StackError(
            f"it runs, but not all of it: {', '.join(broken)}. Why: docker compose --project-directory {folder} logs "
            f"{' '.join(broken)}"
        )
    address = stack.address() or URL
    name = program()
    click.echo(f"SigNoz: {address}")
    click.echo("OTLP: http://localhost:4318 (HTTP), localhost:4317 (gRPC), or the ports that .env names")
    click.echo(f"Next: {name} signoz open, {name} signoz status; to end it {name} signoz down")
    if "demo" not in profiles:
        click.echo(f"No data yet? {name} signoz up --profile demo")
