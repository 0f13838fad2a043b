# SPDX-License-Identifier: MIT

# Measurements by `make bench`, run by the scenario of that name.
KERNEL_SRCS += bench/bench.c
KERNEL_SRCS += bench/bench_pairs.c
KERNEL_SRCS += bench/bench_wait.c
KERNEL_SRCS += bench/bench_fill.c
KERNEL_SRCS += bench/bench_range.c
KERNEL_SRCS += bench/bench_count.c
KERNEL_SRCS += bench/bench_policy.c
KERNEL_SRCS += bench/bench_vm.c
