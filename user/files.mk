# SPDX-License-Identifier: MIT

# Programs for ring 3: each source is one, linked with lib.c.  Those that only tests start are in
# tests/hostile/.
PROGRAM_SRCS += $(filter-out user/lib.c,$(sort $(wildcard user/*.c)))
PROGRAMS = $(basename $(notdir $(PROGRAM_SRCS)))
