# SPDX-License-Identifier: MIT

# These need only port.h and the interface of mm/: part of the kernel and of every hosted build.
BOTH_SRCS += boot/framebuffer.c

BOOT_SRCS += boot/boot.S
BOOT_SRCS += boot/ap_trampoline.S
BOOT_SRCS += boot/bootinfo.c

# Hosted, a suite calls the parser of the loader's data.
HOST_SRCS += boot/bootinfo.c
