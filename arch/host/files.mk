# SPDX-License-Identifier: MIT

# The machine and the port, which every hosted program needs.
HOST_BASE += arch/host/host_start.c
HOST_BASE += arch/host/host_cpu.c
HOST_BASE += arch/host/host_port.c
HOST_BASE += arch/host/host_format.c

HOST_SRCS += arch/host/host_machine.c

# The host's own locks and cross-calls; the build "plain" links the kernel's.
HOST_PORT += arch/host/host_lock.c
HOST_PORT += arch/host/host_call.c
