"""The output formats, and the printer of each, which is imported when it is asked for."""

from __future__ import annotations

from typing import Final

from cluster.cli.ending import EXIT_BAD_FEATURE, CommandError
from cluster.cli.printers import Printer

FORMATS: Final = ("simple", "json", "jsonl", "fields", "table", "protobuf")


def require_known_format(write_out: str) -> None:
    """Refuse an unknown format; for commands that print the same in every format."""
    if write_out not in FORMATS:
        raise CommandError("unsupported output format", EXIT_BAD_FEATURE)


def make_printer(write_out: str, is_hex: bool, command: str) -> Printer:
    """The printer of a format; CommandError when the format has no form for the command."""
    printer: Printer
    match write_out:
        case "simple":
            from cluster.cli.simple_printer import SimplePrinter  # noqa: PLC0415

            printer = SimplePrinter(is_hex)
        case "json":
            from cluster.cli.json_printer import JsonPrinter  # noqa: PLC0415

            printer = JsonPrinter(is_hex)
        case "jsonl":
            from cluster.cli.jsonl_printer import JsonlPrinter  # noqa: PLC0415

            printer = JsonlPrinter(is_hex)
        case "protobuf":
            from cluster.cli.protobuf_printer import ProtobufPrinter  # noqa: PLC0415

            printer = ProtobufPrinter(is_hex)
        case "fields":
            from cluster.cli.fields_printer import FieldsPrinter  # noqa: PLC0415

            printer = FieldsPrinter(is_hex)
        case "table":
            from cluster.cli.table_printer import TablePrinter  # noqa: PLC0415

            printer = TablePrinter(is_hex)
        case _:
            raise CommandError("unsupported output format", EXIT_BAD_FEATURE)
    known = printer.commands is None or command in printer.commands
    if not known or command in printer.lacking:
        raise CommandError(f"{write_out} not supported as output format", EXIT_BAD_FEATURE)
    return printer
