# SPDX-License-Identifier: MIT

# CPUs as fibers.
FIBER_SRCS += arch/fiber/fiber_context.c
FIBER_SRCS += arch/fiber/fiber_cpu.c
FIBER_SRCS += arch/fiber/fiber_stores.c
FIBER_SRCS += arch/fiber/fiber_choose.c
FIBER_SRCS += arch/fiber/fiber_port.c
FIBER_SRCS += arch/host/host_format.c
FIBER_SRCS += arch/fiber/fiber_hotplug.c

# Suites of the kernel with CPUs as fibers: those that grade a lab (tools/grade/lab_build.py).  They
# include arch_inline.h of arch/fiber in place of the one of arch/host.
HFLAGS_suites := -Iarch/fiber -DQUARRY_HOST_ARCH_INLINE_H -include arch/fiber/arch_inline.h
LAB_SRCS += arch/fiber/fiber_whole.c
LAB_SRCS += tests/fiber/silence_task.c

# The kernel's threads, tasks and system calls, with CPUs as fibers and all of mm/ but the slabs: a
# hosted program of its own, build/host-threads/check.
HFLAGS_threads := $(HFLAGS_suites) -DRACE_BUILD -DPAGEBLOCK_ORDER=3
THREAD_SRCS += arch/fiber/fiber_threads_alone.c
THREAD_SRCS += arch/fiber/fiber_user.c
THREAD_SRCS += $(sort $(wildcard tests/fiber/explore_*.c))
THREAD_SRCS += kernel/task_self.c
THREAD_SRCS += kernel/task.c
THREAD_SRCS += kernel/task_thread.c
THREAD_SRCS += kernel/task_account.c
THREAD_SRCS += kernel/task_fault.c
THREAD_SRCS += kernel/task_load.c
THREAD_SRCS += kernel/user_boot.c
THREAD_SRCS += kernel/errname.c
THREAD_SRCS += kernel/elf.c
THREAD_SRCS += kernel/oom_kill.c
THREAD_SRCS += kernel/syscall.c
THREAD_SRCS += kernel/syscall_memory.c

# The same threads with mm/, pagers and drivers: build/host-silence/check.
HFLAGS_silence := $(HFLAGS_threads)
SHARES_silence := threads
SILENCE_SRCS += arch/fiber/fiber_whole.c
SILENCE_SRCS += kernel/errname.c
SILENCE_SRCS += kernel/cpu_plug.c
SILENCE_SRCS += drivers/virtio.c
SILENCE_SRCS += drivers/virtio_balloon.c
SILENCE_SRCS += drivers/virtio_mem.c
SILENCE_SRCS += drivers/virtio_mem_request.c
SILENCE_SRCS += tests/lib/ktest.c
SILENCE_SRCS += tests/lib/ktest_select.c
SILENCE_SRCS += tests/lib/ktest_text.c
SILENCE_SRCS += tests/lib/mm_test.c
SILENCE_SRCS += tests/lib/mm_help.c
SILENCE_SRCS += tests/lib/wait_help.c
SILENCE_SRCS += tests/lib/vm_help.c
SILENCE_SRCS += tests/lib/mov_help.c
SILENCE_SRCS += tests/lib/add_help.c
SILENCE_SRCS += tests/lib/standby_help.c
SILENCE_SRCS += tests/lib/pretend_virtio.c
SILENCE_SRCS += tests/lib/balloon_help.c
SILENCE_SRCS += tests/lib/vmem_help.c
SILENCE_SRCS += tests/fiber/silence_rows.c
SILENCE_SRCS += tests/fiber/silence_help.c
SILENCE_SRCS += tests/lib/soft_mmu.c
SILENCE_SRCS += tests/fiber/silence_task.c
SILENCE_SRCS += $(sort $(wildcard tests/fiber/test_silence_*.c))

# Sources of both programs.
SCHED_SRCS += arch/fiber/fiber_context.c
SCHED_SRCS += arch/fiber/fiber_stores.c
SCHED_SRCS += arch/fiber/fiber_threads.c
SCHED_SRCS += arch/fiber/fiber_threads_port.c
SCHED_SRCS += arch/host/host_format.c
SCHED_SRCS += kernel/lock.c
SCHED_SRCS += kernel/smp.c
SCHED_SRCS += kernel/self.c
SCHED_SRCS += kernel/runq.c
SCHED_SRCS += kernel/sched.c
SCHED_SRCS += kernel/sched_share.c
SCHED_SRCS += kernel/sched_move.c
SCHED_SRCS += kernel/thread.c
SCHED_SRCS += kernel/wait.c
SCHED_SRCS += kernel/cpu_hotplug.c
SCHED_SRCS += kernel/cap.c
SCHED_SRCS += kernel/ipc.c
SCHED_SRCS += kernel/pager.c
SCHED_SRCS += kernel/pager_trust.c
