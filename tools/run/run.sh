#!/bin/sh
# SPDX-License-Identifier: MIT
# run.sh: boot Quarry in QEMU and judge its end; `make run`.
#
# Usage: run.sh BUILD-DIRECTORY, with the variables of `make run` in the environment: `make help`.
# TIMEOUT=900 limits a run without a terminal, in seconds; THREADS=multi, a host thread for each
# CPU, or single; QEMU_FLAGS adds options of QEMU, separated by blanks.
#
# Exit status 0 only if QEMU ended with status 33 (the kernel said so) and the last line of the log
# (at a terminal: the verdict before the prompt) is "quarry: PASS".  QEMU's 0 is a power-off, a
# reset or a triple fault, and no pass; but at the prompt, behind that line, QEMU may also be ended
# by hand.  130: ended by hand before the verdict.  1: all else; the last line says why.
#
# With a terminal on stdin the console is on it.  Ctrl-C ends QEMU, and so do Ctrl-A x and, at the
# prompt, Ctrl-D.  With no terminal the kernel gets monitor=off and powers off by itself.
#
# Any number of runs may share a build directory: each has its files in BUILD-DIRECTORY/run/PID.
# BUILD-DIRECTORY/run.log, or the file that RUN_LOG names, is the log of the one that ended last:
# all that its kernel printed; or the console, if no kernel printed anything.  QEMU ends with this
# script, and this script with its parent, however they end, where the host has setpriv.
set -u

die() {
	echo "run: $*" >&2
	exit 2
}

[ $# = 1 ] || die "usage: tools/run/run.sh BUILD-DIRECTORY"
with_parent() { # SIGNAL COMMAND...: run the command, which gets the signal when its parent ends
	signal=$1
	shift
	[ "$follows" = no ] || exec setpriv --pdeathsig "$signal" "$@"
	exec "$@"
}
follows=${RUN_FOLLOWS:-} # yes or no: does the host have setpriv?
if [ -z "$follows" ]; then
	setpriv --pdeathsig TERM true 2> /dev/null && follows=yes || follows=no
	export RUN_FOLLOWS=$follows
	with_parent TERM sh "$0" "$@"
fi
unset RUN_FOLLOWS

build=$1
here=$(dirname "$0")
cpus=${CPUS:-4} nodes=${NODES:-2} mem=${MEM:-1G} boot=${BOOT:-grub}
cmdline=${CMDLINE:-} trace=${TRACE:-} script=${SCRIPT:-}
limit=${TIMEOUT:-900}
CPUS_PER_CORE=4
CMDLINE_LIMIT=4095 # bytes: the kernel keeps no more, and QEMU loads no more

count() { # NAME VALUE LIMIT
	case $2 in
	'' | 0* | *[!0-9]* | ????????*) die "$1=$2: wanted a number from 1 to $3" ;;
	esac
	[ "$2" -le "$3" ] || die "$1=$2: wanted a number from 1 to $3"
}
count CPUS "$cpus" 255
count NODES "$nodes" 16
count TIMEOUT "$limit" 1000000
case $mem in
*[Mm]) mib=${mem%?} factor=1 ;;
*[Gg]) mib=${mem%?} factor=1024 ;;
*[Tt]) mib=${mem%?} factor=1048576 ;;
*) mib=$mem factor=1 ;;
esac
case $mib in
'' | 0* | *[!0-9]* | ????????*) die "MEM=$mem: wanted a size such as 512M or 4G" ;;
esac
mib=$((mib * factor))
case $boot in
grub | uefi | pvh) ;;
*) die "BOOT=$boot: wanted grub, uefi or pvh" ;;
esac
# MiB that a boot needs: each CPU and each node takes some; firmware for UEFI takes more.
least=$((64 + cpus + 4 * nodes))
[ "$boot" != uefi ] || least=$((least + 64))
[ "$mib" -ge "$least" ] ||
	die "MEM=$mem: too little: $cpus CPUs and $nodes nodes by $boot need ${least}M"
[ "$mib" -le 1048576 ] || die "MEM=$mem: too much: at most 1T"
kernel=$build/quarry.elf
[ -f "$kernel" ] || die "no $kernel: run make first"
command -v qemu-system-x86_64 > /dev/null || die "no qemu-system-x86_64: run make setup"

# ---- files of this run -------------------------------------------------------------------------
for old in "$build"/run/*; do # directories of runs that were killed
	[ ! -d "$old" ] || kill -0 "${old##*/}" 2> /dev/null || rm -rf "$old"
done
run=$build/run/$$ qemu_pid=
console=$run/console.log log=$run/kernel.log kept=${RUN_LOG:-$build/run.log}
clean() {
	[ -z "$qemu_pid" ] || { kill "$qemu_pid"; wait "$qemu_pid"; } 2> /dev/null
	[ -s "$log" ] || log=$console
	[ ! -f "$log" ] || mv -f "$log" "$kept"
	rm -rf "$run"
	rmdir "$build/run" 2> /dev/null
}
trap clean EXIT
trap 'exit 130' INT TERM HUP
rm -rf "$run"
mkdir -p "$run" || die "cannot make $run"
# Run a copy of the kernel: another make may rebuild the file meanwhile.
cp "$kernel" "$run/quarry.elf" || die "$kernel cannot be copied"
kernel=$run/quarry.elf

# ---- the trace and the script: under their own names, and named on the command line --------------
module_name() { # VARIABLE FILE NAME
	[ -f "$2" ] && [ -r "$2" ] || die "$1=$2: no such file, or not readable"
	case $3 in
	*[!A-Za-z0-9._+-]*)
		die "$1=$2: only letters, digits and . _ + - in the file's name" ;;
	????????????????????????????????????????????????????????????????*)
		die "$1=$2: at most 63 letters in the file's name" ;;
	esac
	[ ! -e "$build/bin/$3" ] || die "$1=$2: a program has that name"
}
module=
if [ -n "$trace" ]; then
	name=$(basename "$trace" .gz)
	module_name TRACE "$trace" "$name"
	mkdir "$run/trace"
	module=$run/trace/$name
	case $trace in
	*.gz) gzip -dc "$trace" > "$module" || die "TRACE=$trace: gzip cannot unpack it" ;;
	*) cp "$trace" "$module" || die "TRACE=$trace: cannot be copied to $module" ;;
	esac
	cmdline="$cmdline trace=$name"
fi
script_name=
if [ -n "$script" ]; then
	script_name=$(basename "$script")
	module_name SCRIPT "$script" "$script_name"
	[ -z "$module" ] || [ "$script_name" != "$name" ] ||
		die "SCRIPT=$script: the trace has that name"
	mkdir "$run/script"
	cp "$script" "$run/script/$script_name" || die "SCRIPT=$script: cannot be copied"
	cmdline="$cmdline script=$script_name"
fi
# The programs for ring 3, the trace and the script: name=path each.
modules=
for program in "$build"/bin/*; do
	[ ! -f "$program" ] || modules="$modules ${program##*/}=$program"
done
[ -z "$module" ] || modules="$modules ${module##*/}=$module"
if [ -t 0 ] && [ -t 1 ]; then
	case ${TERM:-} in
	'' | dumb) cmdline="picture=plain $cmdline" ;;
	*)
		# The words of CMDLINE come later on the command line, and take precedence.
		cmdline="picture=live $cmdline"
		case ${LC_ALL:-${LC_CTYPE:-${LANG:-}}} in
		*[Uu][Tt][Ff]-8* | *[Uu][Tt][Ff]8*) cmdline="charset=utf8 $cmdline" ;;
		esac ;;
	esac
fi
[ -z "$script" ] || modules="$modules $script_name=$run/script/$script_name"
[ -t 0 ] || cmdline="$cmdline monitor=off"
cmdline=${cmdline# }
[ "$(printf %s "$cmdline" | wc -c)" -le "$CMDLINE_LIMIT" ] ||
	die "CMDLINE: longer than $CMDLINE_LIMIT bytes, with what is added to it"

# ---- the machine -------------------------------------------------------------------------------
# CPUs wait for each other, mostly for a moment.  With a host thread for each CPU, but fewer cores,
# such a wait lasts a time slice of the host: one thread for all CPUs is several times as fast.
cores=$(nproc 2> /dev/null || getconf _NPROCESSORS_ONLN)
threads=multi
[ "$cpus" -le "$cores" ] || threads=single
accel=tcg,thread=${THREADS:-$threads}
if [ "$cpus" -gt $((CPUS_PER_CORE * cores)) ]; then
	accel=tcg,thread=single
	echo "run: $cpus CPUs on $cores host cores: one host thread runs them all"
fi
option() { # PATH: as a value in an option of QEMU, where a comma is written twice
	case $1 in
	*,*) printf %s "$1" | sed 's/,/,,/g' ;;
	*) printf %s "$1" ;;
	esac
}
set -- -nodefaults -no-user-config -display none -no-reboot -accel "$accel" -machine q35 \
	-chardev "file,id=log,path=$(option "$log")" -device isa-debugcon,iobase=0xe9,chardev=log \
	-device isa-debug-exit,iobase=0xf4,iosize=4 -smp "$cpus" -m "${mib}M"
[ "$mib" -lt 524288 ] && set -- "$@" -cpu max || set -- "$@" -cpu max,phys-bits=46
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

first_file() {
	for f in "$@"; do
		[ -f "$f" ] && echo "$f" && return
	done
}
case $boot in
pvh)
	set -- "$@" -kernel "$kernel" -append "$cmdline"
	# shellcheck disable=SC2086
	sh "$here/mkcpio.sh" "$run/run.cpio" $modules || exit 2
	set -- "$@" -initrd "$run/run.cpio" ;;
*)
	# shellcheck disable=SC2086
	sh "$here/mkiso.sh" "$run/run.iso" "$kernel" "$cmdline" $modules || exit 2
	set -- "$@" -cdrom "$run/run.iso" ;;
esac
if [ "$boot" = uefi ]; then
	code=$(first_file /usr/share/OVMF/OVMF_CODE_4M.fd /usr/share/OVMF/OVMF_CODE.fd \
		/usr/share/edk2/ovmf/OVMF_CODE.fd /usr/share/edk2/x64/OVMF_CODE.4m.fd)
	[ -n "$code" ] || die "BOOT=uefi: no OVMF: run make setup"
	vars=$(echo "$code" | sed 's/CODE/VARS/')
	cp "$vars" "$run/run-vars.fd" || die "BOOT=uefi: no $vars"
	set -- "$@" -drive "if=pflash,format=raw,unit=0,readonly=on,file=$code" \
		-drive "if=pflash,format=raw,unit=1,file=$(option "$run")/run-vars.fd"
	set -- "$@" -vga std # without a screen GRUB prints an error
fi
# shellcheck disable=SC2086
set -- "$@" ${QEMU_FLAGS:-}

# ---- run it ------------------------------------------------------------------------------------
if [ -t 0 ]; then
	echo "run: $cpus CPUs, $nodes nodes, $mib MiB, by $boot; Ctrl-C or Ctrl-A x ends QEMU"
	# QEMU is a job of its own: Ctrl-C reaches QEMU, but not this script nor make.
	set -m
	# A signal ends this script at once, not when QEMU has ended: QEMU ends with its parent.
	trap - INT TERM HUP
	(with_parent TERM qemu-system-x86_64 "$@" \
		-chardev "stdio,id=con,mux=on,signal=on,logfile=$(option "$console")" \
		-serial chardev:con -mon chardev=con,mode=readline 2> "$run/errors")
	status=$?
	set +m
	# However QEMU ended: reset colours, show the cursor, leave the alternate screen if the
	# kernel is still on it; otherwise terminals would move the cursor to where it was before.
	if [ -t 1 ]; then
		printf '\033[0m\033[?25h'
		switch=$(grep -ao '\[?1049[hl]' "$console" | tail -n 1)
		[ "$switch" != '[?1049h' ] || printf '\033[?1049l'
		[ -z "$(tail -c 1 "$console")" ] || echo
	fi 2> /dev/null
	stty sane 2> /dev/null
	grep -v 'terminating on signal' "$run/errors" >&2
else
	ending=
	[ "$follows" = no ] || ending="setpriv --pdeathsig KILL"
	command -v timeout > /dev/null && ending="timeout -k 5 $limit $ending"
	# shellcheck disable=SC2086
	(with_parent TERM $ending qemu-system-x86_64 "$@" \
		-chardev "stdio,id=con,signal=off,logfile=$(option "$console")" \
		-serial chardev:con -monitor none) < /dev/null &
	qemu_pid=$!
	wait "$qemu_pid"
	status=$?
	qemu_pid=
fi

lines() {
	tr -d '\r' < "$log" 2> /dev/null | grep -a "$1"
}
by_hand() { # did Ctrl-C, the terminal's end or Ctrl-A x end QEMU?  The guest may print a bit more
	[ -t 0 ] && [ "$status" = 0 ] && { grep -q 'terminating on signal [12]' "$run/errors" ||
		tr -d '\r' < "$console" | grep -a . | tail -n 2 | grep -q 'QEMU: Terminated$'; }
}
[ -s "$log" ] || cp "$console" "$log" 2> /dev/null
# At a terminal the monitor's prompt comes after the verdict.
what='.'
[ -t 0 ] && what='^quarry: \(PASS\|FAIL\)$'
last=$(lines "$what" | tail -n 1)
if [ "$last" = "quarry: PASS" ] && { [ "$status" = 33 ] || by_hand; }; then
	exit 0
fi
if [ -z "$last" ] && by_hand; then
	key="Ctrl-A x"
	grep -q "terminating on signal" "$run/errors" && key=Ctrl-C
	echo "run: ended by $key before the verdict (log: $kept)" >&2
	# make must end as interrupted, not as failed: it gets the signal before this script ends.
	parent=
	{ read -r parent < "/proc/$PPID/comm"; } 2> /dev/null
	if [ "$parent" = make ] && kill -INT "$PPID"; then
		clean
		sleep 1
		trap - EXIT INT
		kill -INT $$
	fi
	exit 130
fi
case $status in
0) why="QEMU ended with status 0: a reset, or a triple fault" ;;
33) why="the kernel said it passed, but the last line is not \"quarry: PASS\"" ;;
35) why="the kernel said that it failed" ;;
124 | 137) why="no end within $limit s" ;;
*) why="QEMU ended with status $status" ;;
esac
[ "$last" != "quarry: FAIL" ] || why="the kernel said that it failed"
unknown=$(lines . | sed -n 's/^selftest: \(no suite or test .*\)/\1/p' | tail -n 1)
[ -z "$unknown" ] || why=$unknown
echo "run: not a pass: $why (log: $kept)" >&2
exit 1
