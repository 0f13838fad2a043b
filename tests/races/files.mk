# SPDX-License-Identifier: MIT

# The replay of races; step*.c is added by the Makefile.
RACE_SRCS += tests/races/engine.c
RACE_SRCS += tests/races/run.c
RACE_SRCS += tests/races/script.c
RACE_SRCS += tests/races/ops_memory.c
RACE_SRCS += tests/races/ops.c
RACE_SRCS += tests/races/ops_vm.c
RACE_SRCS += tests/races/ops_space.c
RACE_SRCS += tests/races/ops_cpu.c
RACE_SRCS += tests/races/ops_add.c
RACE_SRCS += tests/races/checks.c
RACE_SRCS += tests/races/scripts.c

# The program on fibers, and the explorer, which looks for races.
FIBER_SRCS += tests/races/fiber_main.c
FIBER_SRCS += tests/races/fiber_memory.c
FIBER_SRCS += tests/races/explore.c
FIBER_SRCS += tests/races/fiber_explore.c
FIBER_SRCS += tests/races/shrink.c
FIBER_SRCS += tests/races/matrix.c
FIBER_SRCS += tests/races/matrix_rows.c
FIBER_SRCS += tests/races/matrix_scene.c
