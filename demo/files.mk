# SPDX-License-Identifier: MIT

# What runs on the kernel.  These need only port.h and the interface of mm/: part of the kernel
# and of every hosted build.
BOTH_SRCS += demo/handle.c
BOTH_SRCS += demo/trace_parse.c
BOTH_SRCS += demo/trace_replay.c
BOTH_SRCS += demo/trace_short.c
BOTH_SRCS += demo/stress.c
BOTH_SRCS += demo/rounds.c
BOTH_SRCS += demo/soak.c
BOTH_SRCS += demo/picture.c

KERNEL_SRCS += demo/scenario.c
KERNEL_SRCS += demo/trace_boot.c
KERNEL_SRCS += demo/tour.c
KERNEL_SRCS += demo/crowd.c
KERNEL_SRCS += demo/programs.c
KERNEL_SRCS += demo/monitor.c
KERNEL_SRCS += demo/load.c
KERNEL_SRCS += demo/monitor_offline.c
KERNEL_SRCS += demo/monitor_poison.c
KERNEL_SRCS += demo/monitor_cma.c
KERNEL_SRCS += demo/shake.c
KERNEL_SRCS += demo/hotplug_soak.c
KERNEL_SRCS += demo/poison_soak.c
KERNEL_SRCS += demo/user_soak.c
KERNEL_SRCS += demo/pressure.c
KERNEL_SRCS += demo/provoke.c
KERNEL_SRCS += demo/bench.c
KERNEL_SRCS += demo/bench_vm.c

# The replay of races uses handles.
FIBER_SRCS += demo/handle.c
