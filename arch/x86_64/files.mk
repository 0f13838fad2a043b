# SPDX-License-Identifier: MIT
# The floors of arch/x86_64, the lowest first: a source calls only sources listed before it
# (tools/lint/objects.py).  BOTH_SRCS need only port.h: part of the kernel and of hosted builds.

# 1: sources that need nothing of the machine
ARCH_SRCS += arch/x86_64/string.c
ARCH_SRCS += arch/x86_64/switch.S
BOTH_SRCS += arch/x86_64/acpi_numa.c
BOTH_SRCS += arch/x86_64/acpi_region.c
BOTH_SRCS += arch/x86_64/acpi_table.c
BOTH_SRCS += arch/x86_64/mce_decode.c
ARCH_SRCS += arch/x86_64/acpi.c

# 2: page tables, stacks, the data of each CPU
ARCH_SRCS += arch/x86_64/flush.c
ARCH_SRCS += arch/x86_64/paging.c
ARCH_SRCS += arch/x86_64/mmio.c
ARCH_SRCS += arch/x86_64/mmu.c
ARCH_SRCS += arch/x86_64/stack.c
ARCH_SRCS += arch/x86_64/cpu.c
ARCH_SRCS += arch/x86_64/firmware.c

# 3: interrupts, time
ARCH_SRCS += arch/x86_64/apic.c
ARCH_SRCS += arch/x86_64/clock_rate.c
ARCH_SRCS += arch/x86_64/clock.c
ARCH_SRCS += arch/x86_64/timer.c
ARCH_SRCS += arch/x86_64/acpi_event.c
ARCH_SRCS += arch/x86_64/power.c
ARCH_SRCS += arch/x86_64/mce_bank.c
ARCH_SRCS += arch/x86_64/cpu_park.c

# 4: the entries into the kernel, in five files that call each other
ARCH_SRCS += arch/x86_64/trap.c
ARCH_SRCS += arch/x86_64/nmi.c
ARCH_SRCS += arch/x86_64/trap_entry.S
ARCH_SRCS += arch/x86_64/user.c
ARCH_SRCS += arch/x86_64/syscall_entry.S

# 5: the first steps of a CPU
ARCH_SRCS += arch/x86_64/start.c
ARCH_SRCS += arch/x86_64/smp_boot.c

# 6: what was found
ARCH_SRCS += arch/x86_64/found.c
