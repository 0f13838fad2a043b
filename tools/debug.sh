#!/bin/sh
# SPDX-License-Identifier: MIT
# debug.sh: boot by PVH, stopped before its first instruction, with gdb attached; `make debug`.
#
# Usage: tools/debug.sh BUILD-DIRECTORY        (CPUS, MEM and CMDLINE as for `make run`; PORT=1234)
#
# The console goes to BUILD-DIRECTORY/debug.log.  Ending gdb ends QEMU.  GDB_FLAGS="-batch -x FILE"
# runs gdb without a terminal.
set -eu

[ $# = 1 ] || { echo "usage: tools/debug.sh BUILD-DIRECTORY" >&2; exit 2; }
build=$1 here=$(dirname "$0") port=${PORT:-1234}
command -v gdb > /dev/null || { echo "debug: no gdb: run make setup" >&2; exit 2; }
qemu-system-x86_64 -S -gdb "tcp:127.0.0.1:$port" -nodefaults -no-user-config -display none \
	-no-reboot -monitor none -machine q35 -cpu max -smp "${CPUS:-4}" -m "${MEM:-1G}" \
	-device isa-debug-exit,iobase=0xf4,iosize=4 -serial "file:$build/debug.log" \
	-kernel "$build/quarry.elf" -append "${CMDLINE:-monitor=off}" < /dev/null &
pid=$!
trap 'kill "$pid" 2> /dev/null || :' EXIT
trap : INT
echo "debug: the console is in $build/debug.log; k-help lists Quarry's commands"
# shellcheck disable=SC2086
gdb -q -nx -ex "target remote 127.0.0.1:$port" -x "$here/quarry.gdb" ${GDB_FLAGS:-} \
	"$build/quarry.elf"
