"""A dump that is open."""

from __future__ import annotations

import json
from typing import Any, Optional

from . import _vmleak
from ._commands import Commands
from ._result import Option, Result, words


class Dump(Commands):
    """A dump that is open: each command is a method. Any thread may ask, several at once."""

    def __init__(self, native: _vmleak.Dump) -> None:
        self._native = native

    @property
    def identity(self) -> dict[str, Any]:
        """Which dump it is: what documents have under `dump`."""
        identity: dict[str, Any] = json.loads(self._native.identity())
        return identity

    def command(self, name: str, *places: Option, **options: Option) -> Result:
        """A command by its name."""
        return Result(self._native, name, words(name, list(places), options))

    def command_line(self, *said: str, columns: Optional[int] = None) -> str:
        """What a command line prints, in words and without the dump."""
        return self._native.ask(said, columns)[0].decode()

    def __repr__(self) -> str:
        return f"<vmleak.Dump {self.identity['path']!r}>"
