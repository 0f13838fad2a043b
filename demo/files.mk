# SPDX-License-Identifier: MIT

# Code that runs on the kernel.  These sources need only port.h and the interface of mm/: they are
# part of the kernel and of every hosted build.
BOTH_SRCS += demo/handle.c
BOTH_SRCS += demo/trace_parse.c
BOTH_SRCS += demo/trace_replay.c
BOTH_SRCS += demo/trace_short.c
BOTH_SRCS += demo/verdict.c
BOTH_SRCS += demo/stress.c
BOTH_SRCS += demo/rounds.c
BOTH_SRCS += demo/soak.c
BOTH_SRCS += demo/live_cells.c
BOTH_SRCS += demo/live_compose.c
BOTH_SRCS += demo/live_draw.c
BOTH_SRCS += demo/line_edit.c
BOTH_SRCS += demo/choose.c

# These need a terminal too, live_tty: the hosted program has its own (tests/host/tty_help.c).
SHOWN_SRCS += demo/live.c
SHOWN_SRCS += demo/live_screen.c
SHOWN_SRCS += demo/live_term.c
SHOWN_SRCS += demo/progress.c
SHOWN_SRCS += demo/act.c
SHOWN_SRCS += demo/act_drain.c
SHOWN_SRCS += demo/act_policies.c
SHOWN_SRCS += demo/act_broken.c
SHOWN_SRCS += demo/monitor_wait.c
SHOWN_SRCS += demo/load.c
KERNEL_SRCS += $(SHOWN_SRCS)
HOST_SRCS   += $(SHOWN_SRCS)

KERNEL_SRCS += demo/scenario.c
KERNEL_SRCS += demo/trace_boot.c
KERNEL_SRCS += demo/crowd.c
KERNEL_SRCS += demo/programs.c
KERNEL_SRCS += demo/monitor_about.c
KERNEL_SRCS += demo/monitor.c
KERNEL_SRCS += demo/monitor_help.c
KERNEL_SRCS += demo/monitor_complete.c
KERNEL_SRCS += demo/monitor_show.c
KERNEL_SRCS += demo/monitor_range.c
KERNEL_SRCS += demo/monitor_offline.c
KERNEL_SRCS += demo/monitor_poison.c
KERNEL_SRCS += demo/monitor_cma.c
KERNEL_SRCS += demo/provoke.c

# The replay of races uses handles.
FIBER_SRCS += demo/handle.c
