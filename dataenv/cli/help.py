"""How ``--help`` looks: names and what they mean, without the types that typer would show behind them."""

from __future__ import annotations

from typing import Any

from typer.core import TyperArgument, TyperCommand, TyperGroup


def _plain(params: list[Any]) -> list[Any]:
    """Parameters, of which flags and arguments show no type, and numbers no range: what is refused is said then."""
    for param in params:
        if getattr(param, "is_flag", False) and param.metavar is None:
            param.metavar = ""
        if isinstance(param, TyperArgument):
            param.display_type_rich = lambda ctx: ""  # type: ignore[method-assign]
        param._get_number_range_help_str = lambda: None
    return params


class PlainCommand(TyperCommand):
    """A command whose flags are shown as ``--json`` and not as ``--json <bool>``; see ``_plain``."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Its parameters, ``--help`` among them."""
        return _plain(super().get_params(ctx))


class PlainGroup(TyperGroup):
    """The same for the command that holds all others."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Its parameters, ``--help`` among them."""
        return _plain(super().get_params(ctx))
