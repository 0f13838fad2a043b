# SPDX-License-Identifier: MIT

# Programs for ring 3.
PROGRAMS += init
PROGRAMS += hello
PROGRAMS += abi
PROGRAMS += stress
PROGRAMS += fuzz
PROGRAMS += fault
PROGRAMS += fpu
PROGRAMS += pager
PROGRAMS += maker
PROGRAMS += paged
PROGRAMS += packer
PROGRAMS += over
PROGRAMS += families
PROGRAMS += hog
PROGRAMS += hoard
PROGRAMS += bench
PROGRAMS += promise
PROGRAMS += lost
PROGRAMS += hostile

# Cases of the hostile program, a file for each subject.
HOSTILE_SRCS += user/hostile_ldt.c
HOSTILE_SRCS += user/hostile_regs.c
HOSTILE_SRCS += user/hostile_handles.c
HOSTILE_SRCS += user/hostile_pager.c
HOSTILE_SRCS += user/hostile_account.c
HOSTILE_SRCS += user/hostile_sched.c
HOSTILE_SRCS += user/hostile_oom.c
HOSTILE_SRCS += user/hostile_paid.c
HOSTILE_SRCS += user/hostile_reclaim.c
HOSTILE_SRCS += user/hostile_served.c
HOSTILE_SRCS += user/hostile_gone.c
HOSTILE_SRCS += user/hostile_disguised.c
HOSTILE_SRCS += user/hostile_late.c
HOSTILE_SRCS += user/hostile_costly.c
