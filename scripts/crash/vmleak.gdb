# `vmleak` in crash: what vmleak says of the dump that is open.
#
#     crash> gdb source /usr/share/vmleak/crash/vmleak.gdb      (or in ~/.crashrc)
#     crash> vmleak leaks
#     crash> vmleak objects kmalloc-256 --unreachable --format addrs
#
# crash takes no alias of a shell command, but hands what it does not know to the gdb in it, of which
# this is a command: what it prints goes to the terminal, and to a file with its own -o FILE, not with >.
# vmleak-in-crash, beside this file, has to be on the PATH or named in VMLEAK_IN_CRASH.

define vmleak
  if $argc == 0
    shell "${VMLEAK_IN_CRASH:-vmleak-in-crash}"
  end
  if $argc == 1
    shell "${VMLEAK_IN_CRASH:-vmleak-in-crash}" $arg0
  end
  if $argc == 2
    shell "${VMLEAK_IN_CRASH:-vmleak-in-crash}" $arg0 $arg1
  end
  if $argc == 3
    shell "${VMLEAK_IN_CRASH:-vmleak-in-crash}" $arg0 $arg1 $arg2
  end
  if $argc == 4
    shell "${VMLEAK_IN_CRASH:-vmleak-in-crash}" $arg0 $arg1 $arg2 $arg3
  end
  if $argc == 5
    shell "${VMLEAK_IN_CRASH:-vmleak-in-crash}" $arg0 $arg1 $arg2 $arg3 $arg4
  end
  if $argc == 6
    shell "${VMLEAK_IN_CRASH:-vmleak-in-crash}" $arg0 $arg1 $arg2 $arg3 $arg4 $arg5
  end
  if $argc == 7
    shell "${VMLEAK_IN_CRASH:-vmleak-in-crash}" $arg0 $arg1 $arg2 $arg3 $arg4 $arg5 $arg6
  end
  if $argc == 8
    shell "${VMLEAK_IN_CRASH:-vmleak-in-crash}" $arg0 $arg1 $arg2 $arg3 $arg4 $arg5 $arg6 $arg7
  end
  if $argc == 9
    shell "${VMLEAK_IN_CRASH:-vmleak-in-crash}" $arg0 $arg1 $arg2 $arg3 $arg4 $arg5 $arg6 $arg7 $arg8
  end
  if $argc == 10
    shell "${VMLEAK_IN_CRASH:-vmleak-in-crash}" $arg0 $arg1 $arg2 $arg3 $arg4 $arg5 $arg6 $arg7 $arg8 $arg9
  end
  if $argc == 11
    shell "${VMLEAK_IN_CRASH:-vmleak-in-crash}" $arg0 $arg1 $arg2 $arg3 $arg4 $arg5 $arg6 $arg7 $arg8 $arg9 $arg10
  end
  if $argc == 12
    shell "${VMLEAK_IN_CRASH:-vmleak-in-crash}" $arg0 $arg1 $arg2 $arg3 $arg4 $arg5 $arg6 $arg7 $arg8 $arg9 $arg10 $arg11
  end
  if $argc > 12
    echo vmleak: at most 12 words here: run !vmleak with the files\n
  end
end

document vmleak
What vmleak says of the dump that is open: vmleak COMMAND [OPTION]..., leaks without a command.
vmleak COMMAND --help has the options.
end
