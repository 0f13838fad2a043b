#!/bin/sh
# SPDX-License-Identifier: MIT
# run.sh: boot Quarry in QEMU and judge how it ended; `make run`.
#
# Usage: tools/run.sh BUILD-DIRECTORY, with these in the environment:
#
#   CPUS=4 NODES=2     CPUs, and NUMA nodes they are spread over
#   MEM=1G             memory of all nodes: a number with M (or nothing), G or T
#   BOOT=grub          grub: an ISO image, by BIOS; uefi: the same image; pvh: QEMU loads the kernel
#   CMDLINE="..."      the kernel's command line
#   TRACE=FILE[.gz]    an allocation trace to replay: it becomes a boot module, and trace=NAME is added
#   TIMEOUT=900        seconds until a run without a terminal is given up
#   QEMU_FLAGS="..."   more for QEMU, cut at blanks
#
# Exit status 0 only if QEMU ended with status 33 (the kernel said so) and the last line on the console
# (at a terminal: the verdict before the prompt) is "quarry: PASS"; QEMU's 0 is a power-off, a reset or
# a triple fault, and never a pass.
#
# With a terminal on stdin the console is on it.  Ctrl-C ends QEMU, and so does Ctrl-A x; Ctrl-A c
# goes to QEMU's own monitor and back, Ctrl-A h lists the rest.  With no terminal the kernel gets
# monitor=off and powers off by itself.  The console is kept in BUILD-DIRECTORY/run.log.
set -u

die() {
	echo "run: $*" >&2
	exit 2
}

[ $# = 1 ] || die "usage: tools/run.sh BUILD-DIRECTORY"
build=$1
here=$(dirname "$0")
cpus=${CPUS:-4} nodes=${NODES:-2} mem=${MEM:-1G} boot=${BOOT:-grub} cmdline=${CMDLINE:-} trace=${TRACE:-}
kernel=$build/quarry.elf log=$build/run.log

count() { # NAME VALUE LIMIT
	case $2 in
	'' | *[!0-9]* | ?????*) die "$1=$2: wanted a number from 1 to $3" ;;
	esac
	[ "$2" -ge 1 ] && [ "$2" -le "$3" ] || die "$1=$2: wanted a number from 1 to $3"
}
count CPUS "$cpus" 255
count NODES "$nodes" 16
case $mem in
*[Mm]) mib=${mem%?} factor=1 ;;
*[Gg]) mib=${mem%?} factor=1024 ;;
*[Tt]) mib=${mem%?} factor=1048576 ;;
*) mib=$mem factor=1 ;;
esac
case $mib in
'' | *[!0-9]* | ????????*) die "MEM=$mem: wanted a size such as 512M or 4G" ;;
esac
mib=$((mib * factor))
[ "$mib" -ge "$nodes" ] || die "MEM=$mem: too little for $nodes nodes"
case $boot in
grub | uefi | pvh) ;;
*) die "BOOT=$boot: wanted grub, uefi or pvh" ;;
esac
[ -f "$kernel" ] || die "no $kernel: run make first"
command -v qemu-system-x86_64 > /dev/null || die "no qemu-system-x86_64: run make setup"

# ---- the trace: unpacked under its own name, and named on the command line -----------------------
module=
if [ -n "$trace" ]; then
	[ -f "$trace" ] && [ -r "$trace" ] || die "TRACE=$trace: no such file, or not readable"
	name=$(basename "$trace" .gz)
	case $name in
	*[!A-Za-z0-9._+-]*) die "TRACE=$trace: only letters, digits and . _ + - in the file's name" ;;
	esac
	mkdir -p "$build/trace"
	module=$build/trace/$name
	case $trace in
	*.gz) gzip -dc "$trace" > "$module" || die "TRACE=$trace: gzip cannot unpack it" ;;
	*) cp "$trace" "$module" || die "TRACE=$trace: cannot be copied to $module" ;;
	esac
	cmdline="$cmdline trace=$name"
fi
# The programs for ring 3, and the trace: name=path each.
modules=
for program in "$build"/bin/*; do
	[ ! -f "$program" ] || modules="$modules $(basename "$program")=$program"
done
[ -z "$module" ] || modules="$modules $(basename "$module")=$module"
[ -t 0 ] || cmdline="$cmdline monitor=off"
cmdline=${cmdline# }

# ---- the machine -----------------------------------------------------------------------------------
set -- -nodefaults -no-user-config -display none -no-reboot -accel tcg -machine q35 \
	-device isa-debug-exit,iobase=0xf4,iosize=4 -smp "$cpus" -m "${mib}M"
[ "$mib" -lt 524288 ] && set -- "$@" -cpu max || set -- "$@" -cpu max,phys-bits=46
node=0
while [ "$node" -lt "$nodes" ]; do
	first=$((node * cpus / nodes)) last=$(((node + 1) * cpus / nodes - 1))
	# In whole MiB; the last node takes what is left.
	size=$((mib / nodes))
	[ "$node" -lt $((nodes - 1)) ] || size=$((mib - node * size))
	set -- "$@" -object "memory-backend-ram,id=r$node,size=${size}M,reserve=off"
	if [ "$first" -le "$last" ]; then
		set -- "$@" -numa "node,nodeid=$node,cpus=$first-$last,memdev=r$node"
	else
		set -- "$@" -numa "node,nodeid=$node,memdev=r$node"
	fi
	node=$((node + 1))
done

first_file() {
	for f in "$@"; do
		[ -f "$f" ] && echo "$f" && return
	done
}
case $boot in
pvh)
	set -- "$@" -kernel "$kernel" -append "$cmdline"
	# shellcheck disable=SC2086
	sh "$here/mkcpio.sh" "$build/run.cpio" $modules || exit 2
	set -- "$@" -initrd "$build/run.cpio" ;;
*)
	# shellcheck disable=SC2086
	sh "$here/mkiso.sh" "$build/run.iso" "$kernel" "$cmdline" $modules || exit 2
	set -- "$@" -cdrom "$build/run.iso" ;;
esac
if [ "$boot" = uefi ]; then
	code=$(first_file /usr/share/OVMF/OVMF_CODE_4M.fd /usr/share/OVMF/OVMF_CODE.fd \
		/usr/share/edk2/ovmf/OVMF_CODE.fd /usr/share/edk2/x64/OVMF_CODE.4m.fd)
	[ -n "$code" ] || die "BOOT=uefi: no OVMF: run make setup"
	vars=$(echo "$code" | sed 's/CODE/VARS/')
	cp "$vars" "$build/run-vars.fd" || die "BOOT=uefi: no $vars"
	set -- "$@" -drive "if=pflash,format=raw,unit=0,readonly=on,file=$code" \
		-drive "if=pflash,format=raw,unit=1,file=$build/run-vars.fd"
fi
# shellcheck disable=SC2086
set -- "$@" ${QEMU_FLAGS:-}

# ---- run it ----------------------------------------------------------------------------------------
rm -f "$log"
if [ -t 0 ]; then
	echo "run: $cpus CPUs, $nodes nodes, $mib MiB, by $boot; Ctrl-C or Ctrl-A x ends QEMU"
	# The shell waits for QEMU and goes on; QEMU, in the same process group, ends itself.
	trap : INT
	qemu-system-x86_64 "$@" -chardev "stdio,id=con,mux=on,signal=on,logfile=$log" \
		-serial chardev:con -mon chardev=con,mode=readline
	status=$?
else
	limit=
	command -v timeout > /dev/null && limit="timeout -k 5 ${TIMEOUT:-900}"
	$limit qemu-system-x86_64 "$@" -chardev "stdio,id=con,signal=off,logfile=$log" \
		-serial chardev:con -monitor none < /dev/null &
	pid=$!
	trap 'kill "$pid" 2> /dev/null; wait "$pid"; exit 130' INT TERM HUP
	wait "$pid"
	status=$?
fi

# At a terminal the monitor's prompt comes after the verdict.
what='.'
[ -t 0 ] && what='^quarry: \(PASS\|FAIL\)$'
last=$(tr -d '\r' < "$log" 2> /dev/null | grep -a "$what" | tail -n 1)
if [ "$status" = 33 ] && [ "$last" = "quarry: PASS" ]; then
	exit 0
fi
case $status in
0) why="QEMU ended with status 0: ended by hand, reset, or a triple fault" ;;
33) why="the kernel said it passed, but the last line is not \"quarry: PASS\"" ;;
35) why="the kernel said that it failed" ;;
124 | 137) why="no end within ${TIMEOUT:-900} s" ;;
*) why="QEMU ended with status $status" ;;
esac
echo "run: not a pass: $why (console: $log)" >&2
exit 1
