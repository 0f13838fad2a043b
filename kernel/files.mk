# SPDX-License-Identifier: MIT
# The floors of kernel/, the ground first: a source calls only sources listed before it
# (tools/lint/objects.py).
#
# SHARED_SRCS need only port.h, smp.h and machine.h: built and tested hosted too.
# BOTH_SRCS need only port.h and the interface of mm/: part of the kernel and of every hosted build.
# USER_SRCS are the kernel's part of ring 3.

# 1: locks, printing, the command line
SHARED_SRCS += kernel/lock.c
KERNEL_SRCS += kernel/printk.c
KERNEL_SRCS += kernel/remarks.c
BOTH_SRCS += kernel/cmdline.c
BOTH_SRCS += kernel/errname.c

# 2: boot memory
BOTH_SRCS += kernel/boot_zones.c
KERNEL_SRCS += kernel/memory_arrays.c
KERNEL_SRCS += kernel/boot_memory.c

# 3: the files that the boot loader brings
BOTH_SRCS += kernel/elf.c
BOTH_SRCS += kernel/cpio.c
BOTH_SRCS += kernel/bootfile.c

# 4: the running thread, cross-calls
KERNEL_SRCS += kernel/self.c
SHARED_SRCS += kernel/smp.c
KERNEL_SRCS += kernel/panic.c

# 5: the scheduler
BOTH_SRCS += kernel/sched_share.c
KERNEL_SRCS += kernel/runq.c
KERNEL_SRCS += kernel/sched_move.c
USER_SRCS += kernel/task_self.c
KERNEL_SRCS += kernel/sched.c
KERNEL_SRCS += kernel/wait.c
KERNEL_SRCS += kernel/thread.c

# 6: CPU hotplug, the CMA area, machine checks
KERNEL_SRCS += kernel/cpu_hotplug.c
KERNEL_SRCS += kernel/cpu_plug.c
KERNEL_SRCS += kernel/cma_area.c
KERNEL_SRCS += kernel/mce.c

# 7: tasks, messages, the OOM killer
USER_SRCS += kernel/task_account.c
USER_SRCS += kernel/cap.c
USER_SRCS += kernel/ipc.c
USER_SRCS += kernel/task.c
USER_SRCS += kernel/task_thread.c
USER_SRCS += kernel/task_fault.c
USER_SRCS += kernel/task_load.c
USER_SRCS += kernel/oom_kill.c

# 8: pagers
USER_SRCS += kernel/pager_trust.c
USER_SRCS += kernel/pager.c

# 9: system calls, the start
USER_SRCS += kernel/syscall_memory.c
USER_SRCS += kernel/syscall.c
USER_SRCS += kernel/user_boot.c
KERNEL_SRCS += kernel/main.c

# CPU hotplug runs on fibers too.
FIBER_SRCS += kernel/cpu_hotplug.c
