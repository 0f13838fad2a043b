# SPDX-License-Identifier: MIT

KERNEL_SRCS += bench/bench.c
KERNEL_SRCS += bench/bench_vm.c
