"""`--references A B`: one option with several values, which click takes only as `--references A --references B`."""

from typing import Any

from typer.core import TyperCommand, TyperOption

OPTION = "--references"


class ReferencesCommand(TyperCommand):
    """A command whose option `--references` may be followed by several values, if a query precedes it.

    In `scan --references A B`, B is the query.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments with `--references A B` written as `--references A --references B`."""
        return super().parse_args(ctx, self.repeat_references(args))

    def repeat_references(self, arguments: list[str]) -> list[str]:
        """The arguments as click wants them. Which options take a value is read from the command's own parameters."""
        options = [one for one in self.params if isinstance(one, TyperOption) and not one.is_flag]
        with_value = {name for option in options for name in option.opts}
        repeated: list[str] = []
        has_query = is_collecting = is_value = False
        for argument in arguments:
            if is_value:
                is_value = False
            elif argument.startswith("-") and argument != "-":
                is_value = argument in with_value
                is_collecting = argument == OPTION and has_query
            elif is_collecting:
                repeated.append(OPTION)
            else:
                has_query = True
            repeated.append(argument)
        return repeated
