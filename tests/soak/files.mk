# SPDX-License-Identifier: MIT

# Long loads that the kernel's command line starts, for tests only.
KERNEL_SRCS += $(sort $(wildcard tests/soak/*.c))
