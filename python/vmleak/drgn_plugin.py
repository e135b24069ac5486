"""drgn's command `%vmleak`: the commands of vmleak on the dump that drgn has open.

    >>> %vmleak leaks
    >>> %vmleak objects leaky_session --unreachable --format addrs
"""

from __future__ import annotations

import shutil
import sys
from typing import Any, Sequence

import drgn
from drgn.commands import custom_command, parse_shell_command

import vmleak
import vmleak.drgn


def _is_of_a_core(prog: drgn.Program) -> bool:
    return bool(prog.flags & drgn.ProgramFlags.IS_LINUX_KERNEL) and prog.core_dump_path is not None


@custom_command(
    name="vmleak",
    description="what vmleak says of the dump that is open",
    usage="**vmleak** *COMMAND* [*OPTION*]...",
    parse=parse_shell_command,
    long_description="The commands are those of vmleak: leaks, slabs, objects, whatis, pages, conntrack ...; "
    "vmleak COMMAND --help has their options.",
    enabled=_is_of_a_core,
)
def _cmd_vmleak(prog: drgn.Program, name: str, args: Sequence[str], **kwargs: Any) -> None:
    columns = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    try:
        dump = vmleak.drgn.open(prog)
        print(dump.command_line(*(args or ["leaks"]), columns=columns), end="")
    except vmleak.Error as error:
        print(f"vmleak: {error}", file=sys.stderr)
