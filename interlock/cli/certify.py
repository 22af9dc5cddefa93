"""``interlock certify``: an adapter, held to every rule of the ports against its own test double."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from interlock import certify as kit
from interlock.cli.terminal import say, show
from interlock.domain.errors import BadInput

__all__ = ["certify"]

_EXIT_FINDINGS = 2


def certify(
    target: Annotated[
        str | None, typer.Argument(metavar="[MODULE:OBJECT]", help="Makes a fresh adapter with its double.")
    ] = None,
    report: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the results as JSON, too.")] = None,
    rule: Annotated[list[str] | None, typer.Option(metavar="ID", help="Only this rule; may be repeated.")] = None,
    timeout_s: Annotated[
        float, typer.Option(metavar="SECONDS", min=0.1, max=600, help="How long one rule may take.")
    ] = kit.TIMEOUT_S,
    no_skips: Annotated[bool, typer.Option("--no-skips", help="Exit with 2 also where a rule was skipped.")] = False,
    list_rules: Annotated[bool, typer.Option("--list", help="Show the rules, and what each needs.")] = False,
) -> None:
    """Hold a broker adapter to every rule of the ports, each time fresh, against its own test double.

    The object is a callable without arguments that returns the adapter, or a bench: the adapter with its double, as
    interlock.certify.Bench describes it. A rule for which the bench lacks something is skipped, never passed.

    Exit code 0: no rule failed; 2: one did; 1: there is nothing to hold to them, or a wrong argument.

    \b
    Examples:
      interlock certify my_broker:bench --report certificate.json
      interlock certify my_broker:bench --rule CRT-5 --rule CRT-31
      interlock certify --list
    """  # noqa: D301 - the escape is Click's mark for lines that stay as they are
    rules = kit.chosen(tuple(rule or ()))
    if list_rules:
        _show_rules(rules)
        return
    if target is None:
        raise BadInput("certify", "there is nothing to certify", "MODULE:OBJECT, or --list")
    if report is not None and (report.is_dir() or not report.absolute().parent.is_dir()):
        raise BadInput(str(report), "cannot be written", "a file in a folder that is there")
    found = kit.certify(kit.load_target(target), rules, name=target, timeout_s=timeout_s)
    _show(found)
    if report is not None:
        kit.write_report(found, report)
    if found.failed or (no_skips and found.skipped):
        raise typer.Exit(_EXIT_FINDINGS)


def _show(found: kit.CertifyReport) -> None:
    table = Table("rule", "it holds that", "outcome", "evidence")
    for result in found.results:
        # Text, so that no bracket in what an adapter says is taken for a colour.
        table.add_row(result.rule, result.holds, str(result.outcome), Text(_plain(result.evidence)))
    show(table)
    counts = f"{found.passed} passed, {found.failed} failed, {found.skipped} skipped"
    say(f"{_plain(found.target)}: {found.kind} {_plain(found.broker)!r} is {found.verdict}: {counts}")


def _show_rules(rules: tuple[kit.Rule, ...]) -> None:
    table = Table("rule", "name", "it holds that", "port", "for", "needs")
    for rule in rules:
        table.add_row(rule.id, rule.name, rule.holds, rule.port, str(rule.whom), ", ".join(rule.needs))
    show(table)


def _plain(text: str) -> str:
    """Return a text with nothing in it that a terminal would obey."""
    return "".join(char if char.isprintable() else " " for char in text)
