# SPDX-License-Identifier: MIT

# These need only port.h and the interface of mm/: part of the kernel and of every hosted build.
BOTH_SRCS += drivers/pci.c
BOTH_SRCS += drivers/virtio_cap.c
BOTH_SRCS += drivers/virtio_pci.c
BOTH_SRCS += drivers/virtio.c
BOTH_SRCS += drivers/virtio_mem.c
BOTH_SRCS += drivers/virtio_mem_request.c
BOTH_SRCS += drivers/virtio_mem_thread.c
BOTH_SRCS += drivers/virtio_balloon.c
BOTH_SRCS += drivers/virtio_balloon_thread.c
BOTH_SRCS += drivers/input.c
BOTH_SRCS += drivers/uart.c
BOTH_SRCS += drivers/keyboard.c
BOTH_SRCS += drivers/psf.c
BOTH_SRCS += drivers/text.c
BOTH_SRCS += drivers/screen.c
BOTH_SRCS += drivers/acpi_slots.c
BOTH_SRCS += drivers/dimm.c

BOOT_SRCS += drivers/serial.c
BOOT_SRCS += drivers/i8042.c
BOOT_SRCS += drivers/console_in.c
BOOT_SRCS += drivers/log_port.c
BOOT_SRCS += drivers/pci_port.c
BOOT_SRCS += drivers/virtio_start.c
BOOT_SRCS += drivers/cpu_slot.c
BOOT_SRCS += drivers/acpi_hotplug.c
