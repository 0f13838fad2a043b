# SPDX-License-Identifier: MIT

# CPUs as fibers.
FIBER_SRCS += arch/fiber/fiber_main.c
FIBER_SRCS += arch/fiber/fiber_step.c
FIBER_SRCS += arch/fiber/fiber_cpu.c
FIBER_SRCS += arch/fiber/fiber_port.c
FIBER_SRCS += arch/fiber/fiber_hotplug.c
