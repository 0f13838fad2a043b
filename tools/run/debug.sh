#!/bin/sh
# SPDX-License-Identifier: MIT
# debug.sh: boot Quarry by PVH, stopped at its first instruction, with gdb attached; `make debug`.
#
# Usage: debug.sh BUILD-DIRECTORY
#
# CPUS, MEM, NODES and CMDLINE mean what they mean for `make run`; without CMDLINE it boots to the
# prompt, without selftests and tour.  PORT=1234 is the TCP port for gdb.
#
# The console's output goes to BUILD-DIRECTORY/debug.log.  Its input is the socket debug.sock beside
# it, to which gdb's command k-type writes.  Ending gdb ends QEMU.  GDB_FLAGS="-batch -x FILE" runs
# gdb without a terminal.
set -eu

die() {
	echo "debug: $*" >&2
	exit 2
}
[ $# = 1 ] || die "usage: tools/run/debug.sh BUILD-DIRECTORY"
build=$1 log=$1/debug.log here=$(dirname "$0") port=${PORT:-1234}
cpus=${CPUS:-4} nodes=${NODES:-2} mem=${MEM:-1G}
command -v gdb > /dev/null || die "no gdb: run make setup"
case $mem in
*[Mm]) mib=${mem%?} ;;
*[Gg]) mib=$((${mem%?} * 1024)) ;;
*[Tt]) mib=$((${mem%?} * 1048576)) ;;
*) mib=$mem ;;
esac
# By default a CPU has physical addresses of 40 bits: too few for 1T and what lies above it.
[ "$mib" -lt 524288 ] && cpu=max || cpu=max,phys-bits=46
modules=
for program in "$build"/bin/*; do
	[ ! -f "$program" ] || modules="$modules $(basename "$program")=$program"
done
# shellcheck disable=SC2086
sh "$here/mkcpio.sh" "$build/debug.cpio" $modules || die "no archive of the programs"
node=0
while [ "$node" -lt "$nodes" ]; do
	first=$((node * cpus / nodes)) last=$(((node + 1) * cpus / nodes - 1))
	size=$((mib / nodes)) # in whole MiB; the last node gets the rest
	[ "$node" -lt $((nodes - 1)) ] || size=$((mib - node * size))
	has=
	[ "$first" -gt "$last" ] || has=cpus=$first-$last,
	set -- "$@" -object "memory-backend-ram,id=r$node,size=${size}M,reserve=off" \
		-numa "node,nodeid=$node,${has}memdev=r$node"
	node=$((node + 1))
done
shift
rm -f "$build/debug.sock"
qemu-system-x86_64 -S -gdb "tcp:127.0.0.1:$port" -nodefaults -no-user-config -display none \
	-no-reboot -monitor none -machine q35 -cpu "$cpu" -smp "$cpus" -m "${mib}M" "$@" \
	-device isa-debug-exit,iobase=0xf4,iosize=4 -kernel "$build/quarry.elf" \
	-chardev "socket,id=con,path=$build/debug.sock,server=on,wait=off,logfile=$log" \
	-serial chardev:con -initrd "$build/debug.cpio" \
	-append "${CMDLINE:-selftest=none tour=off}" < /dev/null &
pid=$!
trap 'kill "$pid" 2> /dev/null || :' EXIT
trap : INT
echo "debug: the console is in $log; k-help lists Quarry's commands"
export QUARRY_SOCKET="$build/debug.sock"
# shellcheck disable=SC2086
gdb -q -nx -ex "target remote 127.0.0.1:$port" -x "$here/quarry_gdb.py" ${GDB_FLAGS:-} \
	"$build/quarry.elf"
