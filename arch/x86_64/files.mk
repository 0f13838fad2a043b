# SPDX-License-Identifier: MIT

# These need only port.h: part of the kernel and of every hosted build.
BOTH_SRCS += arch/x86_64/acpi_table.c
BOTH_SRCS += arch/x86_64/acpi_numa.c
BOTH_SRCS += arch/x86_64/acpi_region.c
BOTH_SRCS += arch/x86_64/mce_decode.c

ARCH_SRCS += arch/x86_64/acpi.c
ARCH_SRCS += arch/x86_64/acpi_event.c
ARCH_SRCS += arch/x86_64/apic.c
ARCH_SRCS += arch/x86_64/clock.c
ARCH_SRCS += arch/x86_64/cpu.c
ARCH_SRCS += arch/x86_64/cpu_park.c
ARCH_SRCS += arch/x86_64/mce_bank.c
ARCH_SRCS += arch/x86_64/mmu.c
ARCH_SRCS += arch/x86_64/paging.c
ARCH_SRCS += arch/x86_64/power.c
ARCH_SRCS += arch/x86_64/smp_boot.c
ARCH_SRCS += arch/x86_64/stack.c
ARCH_SRCS += arch/x86_64/string.c
ARCH_SRCS += arch/x86_64/switch.S
ARCH_SRCS += arch/x86_64/syscall_entry.S
ARCH_SRCS += arch/x86_64/trap.c
ARCH_SRCS += arch/x86_64/trap_entry.S
ARCH_SRCS += arch/x86_64/user.c
