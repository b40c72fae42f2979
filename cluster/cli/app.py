"""The frame of leasectl: commands that load when called, options anywhere, etcdctl's errors.

It refuses to know what a command does; `cluster.cli` lists the commands.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from typing import Any, Final

import click

from cluster.cli.did_you_mean import unknown_command
from cluster.cli.ending import EXIT_ERROR, EXIT_SIGINT, CommandError
from cluster.cli.global_flags import environment_settings, global_options
from cluster.cli.output import output_failed, report
from cluster.cli.settings import CliSettings
from cluster.errors import LeaseholdError
from cluster.values import parse_bool

PROGRAM: Final = "leasectl"

WHOLE_NAMES: Final = frozenset(
    {"completion", "doctor", "edit", "export", "import", "shell", "top", "wait"}
)
"""Commands that etcdctl 3.5 does not have. They cannot be abbreviated, so that they do not make an
abbreviation of etcdctl's users ambiguous."""

CommandTable = Mapping[str, "str | tuple[str, CommandTable]"]
"""A command's name -> `module:function`; a group's name -> (its help, its own table)."""


class Command(click.Command):
    """A command that takes the global options too, and flags as `--flag=true`."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._own_parameters = list(self.params)
        self.params.extend(global_options())
        self.context_settings.setdefault("help_option_names", ["-h", "--help"])

    def alone(self) -> click.Command:
        """A command that parses the same arguments and options, but not the global options."""
        return _PlainCommand(self.name, params=self._own_parameters, add_help_option=False)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments and the flags among them."""
        with _in_etcdctls_words():
            return super().parse_args(ctx, _plain_flags(args, self.params))

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; Ctrl-C ends it without a message."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise SystemExit(EXIT_SIGINT) from None


class _PlainCommand(click.Command):
    """A command that takes flags as `--flag=true`, but no global options."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments and the flags among them."""
        with _in_etcdctls_words():
            return super().parse_args(ctx, _plain_flags(args, self.params))


class LazyGroup(click.Group):
    """A group that imports a command when it is called, and takes unique prefixes of names."""

    def __init__(self, name: str, help_text: str, table: CommandTable) -> None:
        super().__init__(name, help=help_text, callback=_help_if_alone, invoke_without_command=True)
        self.table = table
        self.params.extend(global_options())
        self.context_settings["help_option_names"] = ["-h", "--help"]

    def make_context(self, *arguments: Any, **options: Any) -> click.Context:
        """Parse, which prints the help where that is asked for."""
        with _output_errors():
            return super().make_context(*arguments, **options)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        with _output_errors():
            return super().invoke(ctx)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, sorted."""
        return sorted(self.table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, or the only command whose name begins so."""
        name = cmd_name
        if name not in self.table:
            names = self.table.keys() - WHOLE_NAMES
            starts = [candidate for candidate in names if candidate.startswith(name)]
            if len(starts) != 1:
                return None
            name = starts[0]
        entry = self.table[name]
        if isinstance(entry, tuple):
            return LazyGroup(name, *entry)
        module, _, function = entry.partition(":")
        command: click.Command = getattr(import_module(module), function)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; an unknown one is reported in etcdctl's words."""
        name = args[0]
        if self.get_command(ctx, name) is None:
            if name.startswith("-"):
                raise CommandError(_unknown_flag(name))
            raise CommandError(unknown_command(name, ctx.command_path, self.table))
        return super().resolve_command(ctx, args)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the options before the command."""
        with _in_etcdctls_words():
            return super().parse_args(ctx, _plain_flags(args, self.params))


def run(root: click.Group, arguments: list[str], settings: CliSettings | None = None) -> int:
    """Run a command line; its exit status. Every error is one line on stderr.

    It begins with these settings, or with those of the environment.
    """
    try:
        settings = settings or environment_settings(os.environ)
        status = root.main(arguments, prog_name=PROGRAM, standalone_mode=False, obj=settings)
        with _output_errors():
            sys.stdout.flush()
    except CommandError as error:
        return report(error.message, error.exit_code)
    except LeaseholdError as error:
        return report(error.message, EXIT_ERROR)
    except click.ClickException as error:
        return report(error.format_message(), EXIT_ERROR)
    except (click.Abort, KeyboardInterrupt):
        return EXIT_SIGINT
    return status if isinstance(status, int) else 0


@contextmanager
def _output_errors() -> Iterator[None]:
    """End the command when stdout fails, before click ends it with 1 because nobody reads."""
    try:
        yield
    except OSError as error:
        if isinstance(error, LeaseholdError) or error.filename is not None:
            raise  # it is the cluster's, or about a file
        raise SystemExit(output_failed(error)) from None


@contextmanager
def _in_etcdctls_words() -> Iterator[None]:
    """Report an unknown or incomplete flag as etcdctl does."""
    try:
        yield
    except click.NoSuchOption as error:
        raise CommandError(_unknown_flag(error.option_name)) from None
    except click.BadOptionUsage as error:
        raise CommandError(f"flag needs an argument: {error.option_name}") from None


@click.pass_context
def _help_if_alone(context: click.Context) -> None:
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


def _plain_flags(arguments: list[str], parameters: list[click.Parameter]) -> list[str]:
    """Rewrite `--flag=true` to `--flag`, and `--flag=false` to `--no-flag` or to nothing."""
    flags = {
        name: parameter.secondary_opts
        for parameter in parameters
        if isinstance(parameter, click.Option) and parameter.is_flag
        for name in parameter.opts
    }
    plain: list[str] = []
    for index, argument in enumerate(arguments):
        if argument == "--":
            return plain + arguments[index:]
        name, equals, word = argument.partition("=")
        if not equals or name not in flags:
            plain.append(argument)
        else:
            plain += [name] if _is_set(name, word) else flags[name]
    return plain


def _is_set(flag: str, word: str) -> bool:
    try:
        return parse_bool(word)
    except ValueError as error:
        raise CommandError(f'invalid argument "{word}" for "{flag}" flag: {error}') from None


def _unknown_flag(flag: str) -> str:
    if flag.startswith("--"):
        return f"unknown flag: {flag.partition('=')[0]}"
    return f"unknown shorthand flag: '{flag[1:2]}' in {flag}"
