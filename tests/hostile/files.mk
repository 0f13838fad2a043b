# SPDX-License-Identifier: MIT

# Programs of ring 3 that only tests start.  The cases of `hostile` are a file for each subject.
HOSTILE_SRCS := $(sort $(wildcard tests/hostile/hostile_*.c))
PROGRAM_SRCS += $(filter-out $(HOSTILE_SRCS),$(sort $(wildcard tests/hostile/*.c)))
