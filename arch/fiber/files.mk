# SPDX-License-Identifier: MIT

# CPUs as fibers.
FIBER_SRCS += arch/fiber/fiber_main.c
FIBER_SRCS += arch/fiber/fiber_step.c
FIBER_SRCS += arch/fiber/fiber_cpu.c
FIBER_SRCS += arch/fiber/fiber_port.c
FIBER_SRCS += arch/fiber/fiber_hotplug.c

# The kernel's threads, on such CPUs: a hosted program of its own, build/host-threads/check.  It has the fibers' half of
# arch.h, in place of the one of arch/host.
HFLAGS_threads := -Iarch/fiber -DRACE_BUILD -DQUARRY_HOST_ARCH_INLINE_H -include arch/fiber/arch_inline.h
THREAD_SRCS += arch/fiber/fiber_threads.c
THREAD_SRCS += arch/fiber/fiber_threads_port.c
THREAD_SRCS += tests/explore_threads.c
THREAD_SRCS += kernel/lock.c
THREAD_SRCS += kernel/smp.c
THREAD_SRCS += kernel/sched.c
THREAD_SRCS += kernel/sched_share.c
THREAD_SRCS += kernel/sched_move.c
THREAD_SRCS += kernel/thread.c
THREAD_SRCS += kernel/wait.c
THREAD_SRCS += kernel/cap.c
THREAD_SRCS += kernel/ipc.c
THREAD_SRCS += mm/account.c
