# SPDX-License-Identifier: MIT

# These need only port.h, smp.h and machine.h: built and tested hosted too.
SHARED_SRCS += kernel/lock.c
SHARED_SRCS += kernel/smp.c

# These need only port.h and the interface of mm/: part of the kernel and of every hosted build.
BOTH_SRCS += kernel/cmdline.c
BOTH_SRCS += kernel/errname.c
BOTH_SRCS += kernel/boot_zones.c
BOTH_SRCS += kernel/elf.c
BOTH_SRCS += kernel/cpio.c
BOTH_SRCS += kernel/bootfile.c
BOTH_SRCS += kernel/sched_share.c

KERNEL_SRCS += kernel/main.c
KERNEL_SRCS += kernel/boot_memory.c
KERNEL_SRCS += kernel/memory_arrays.c
KERNEL_SRCS += kernel/printk.c
KERNEL_SRCS += kernel/panic.c
KERNEL_SRCS += kernel/sched.c
KERNEL_SRCS += kernel/sched_move.c
KERNEL_SRCS += kernel/thread.c
KERNEL_SRCS += kernel/wait.c
KERNEL_SRCS += kernel/cma_area.c
KERNEL_SRCS += kernel/cpu_hotplug.c
KERNEL_SRCS += kernel/cpu_plug.c
KERNEL_SRCS += kernel/mce.c

# Ring 3: the kernel's part.
USER_SRCS += kernel/task.c
USER_SRCS += kernel/task_thread.c
USER_SRCS += kernel/task_fault.c
USER_SRCS += kernel/task_account.c
USER_SRCS += kernel/oom_kill.c
USER_SRCS += kernel/task_load.c
USER_SRCS += kernel/cap.c
USER_SRCS += kernel/ipc.c
USER_SRCS += kernel/syscall.c
USER_SRCS += kernel/syscall_memory.c
USER_SRCS += kernel/pager.c
USER_SRCS += kernel/pager_trust.c
USER_SRCS += kernel/user_boot.c

# CPU hotplug runs on fibers too.
FIBER_SRCS += kernel/cpu_hotplug.c
