#!/bin/sh
# SPDX-License-Identifier: MIT
# setup.sh: install missing packages, and no others.
#
# Usage: tools/setup.sh [-n] SET ...
#
#   compile   compiler, binutils and the small header packages
#   cache     ccache                        python Python
#   boot      QEMU                          iso    GRUB for BIOS, xorriso, mtools, a font
#   uefi      GRUB for UEFI and OVMF        debug  gdb
#   check     Python, pyte                  lint   clang, lld, clang-tidy, cppcheck, pytest,
#                                                  pexpect, clang-format 14
#   fuzz      clang with libFuzzer, gcovr   model  SPIN, GNU parallel
#   bochs     Bochs                         mutate libclang for Python
#   figures   graphviz, mscgen              minimal mmdebstrap
#   peers     libelf, for a module of Debian's kernel
#   web       clang and lld for WebAssembly, wasi-libc, binaryen, node
#   web-check Chromium, npm
#   run  = compile boot iso                 test = all but debug, peers, web*
#
# A package is present if its tool or file is found, so without missing ones no package manager is
# called.  Debian and Ubuntu: installs with apt, by sudo if not run as root.  On other systems, and
# with -n, prints the command to type and exits with status 1.
set -u

missing=
need() { # PACKAGE TEST...: the package is missing, unless the test holds
	package=$1
	shift
	"$@" > /dev/null 2>&1 && return
	case " $missing " in *" $package "*) ;; *) missing="$missing $package" ;; esac
}
tool() { # NAME...: is there any of these commands?
	for t in "$@"; do
		command -v "$t" > /dev/null 2>&1 && return 0
	done
	return 1
}
file() { # PATH...: is there any of these files?
	for f in "$@"; do
		[ -e "$f" ] && return 0
	done
	return 1
}
header() { file /usr/include/"$1" /usr/include/*-linux-gnu*/"$1" /usr/local/include/"$1"; }
python_has() { # MODULES, with commas: does one interpreter have them all?
	for p in /usr/bin/python3 python3; do
		"$p" -c "import $1" 2> /dev/null && return 0
	done
	return 1
}
fuzzer_package() { # the package of libFuzzer for the clang that is installed, or will be
	major=$( (clang -dumpversion ||
		apt-cache policy clang |
			sed -n 's/.*Candidate: [0-9]*:\([0-9]*\).*/\1/p') 2> /dev/null)
	echo "libclang-rt-${major%%.*}-dev"
}
has_fuzzer() {
	echo 'int LLVMFuzzerTestOneInput(const char *p, unsigned long n) { return n > 9 && *p; }' |
		clang -fsanitize=fuzzer,address -x c - -o /dev/null
}
compiles_for_x86() {
	tool x86_64-linux-gnu-gcc || { tool clang && tool ld.lld; }
}

# The names are Debian's; other_names() knows the others'.
look_for() {
	case $1 in
	compile)
		need gcc tool gcc
		need make tool make gmake
		need binutils tool ld
		need libc6-dev header sys/queue.h
		need linux-libc-dev header asm-generic/errno.h
		need linux-libc-dev header linux/virtio_mem.h
		need libstb-dev header stb/stb_sprintf.h
		need libxen-dev header xen/arch-x86/hvm/start_info.h
		need libbsd-dev header bsd/sys/queue.h
		case $(uname -m) in
		x86_64 | amd64) ;;
		*) need gcc-x86-64-linux-gnu compiles_for_x86 ;;
		esac ;;
	cache) need ccache tool ccache ;;
	python) need python3 tool python3 ;;
	boot) need qemu-system-x86 tool qemu-system-x86_64 ;;
	iso)
		need grub-common tool grub-mkrescue grub2-mkrescue
		need grub-pc-bin file /usr/lib/grub*/i386-pc/multiboot2.mod \
			/usr/share/grub*/i386-pc/multiboot2.mod
		need xorriso tool xorriso
		need mtools tool mformat
		# On other systems a missing font is no reason to stop: only the screen stays dark.
		! tool apt-get || need psf-unifont sh "$(dirname "$0")/font.sh" ;;
	uefi)
		need grub-efi-amd64-bin file /usr/lib/grub*/x86_64-efi/multiboot2.mod
		need ovmf file /usr/share/OVMF/OVMF_CODE_4M.fd /usr/share/OVMF/OVMF_CODE.fd \
			/usr/share/edk2/ovmf/OVMF_CODE.fd /usr/share/edk2/x64/OVMF_CODE.4m.fd ;;
	bochs)
		need bochs tool bochs-bin bochs
		tool apt-get || return 0 # other systems have all of Bochs in one package
		need bochs-sdl file /usr/lib/*/bochs/plugins/libbx_sdl2*.so
		need bochsbios file /usr/share/bochs/BIOS-bochs-latest
		need vgabios file /usr/share/bochs/VGABIOS-lgpl-latest ;;
	debug) need gdb tool gdb ;;
	check)
		look_for python
		need python3-pyte python_has pyte ;;
	lint)
		need clang tool clang
		need lld tool ld.lld
		need clang-tidy tool clang-tidy
		need cppcheck tool cppcheck
		# Other versions format differently, and other systems have other versions.
		! tool apt-get || need clang-format-14 tool clang-format-14
		need patch tool patch
		need python3-pytest python_has pytest,pexpect
		need python3-pexpect python_has pytest,pexpect ;;
	figures)
		need graphviz tool dot
		need mscgen tool mscgen ;;
	minimal) need mmdebstrap tool mmdebstrap ;;
	peers)
		look_for python
		need dpkg tool dpkg
		need libelf1 file /usr/lib/*/libelf.so.1 ;; # for objtool of Debian's kernel
	web)
		need clang tool clang
		need lld tool wasm-ld
		need wasi-libc file /usr/lib/wasm32-wasi/libc.a
		need libclang-rt-dev-wasm32 file /usr/lib/llvm-*/lib/clang/*/lib/wasi/*builtins*
		need binaryen tool wasm-opt
		need nodejs tool node ;;
	web-check)
		need chromium tool chromium
		need npm tool npm ;;
	mutate) need python3-clang python_has clang.cindex ;;
	fuzz)
		need clang tool clang
		need "$(fuzzer_package)" has_fuzzer
		need gcovr tool gcovr ;;
	model)
		need gcc tool gcc
		need spin tool spin
		need parallel tool parallel ;;
	run) look_for compile && look_for boot && look_for iso ;;
	test)
		look_for run && look_for uefi && look_for check && look_for lint && look_for fuzz &&
			look_for model && look_for mutate && look_for bochs && look_for cache &&
			look_for debug ;;
	*)
		echo "setup: no set '$1'; known: compile cache python boot iso uefi debug check" \
			"lint fuzz model mutate bochs figures minimal peers web web-check run" \
			"test" >&2
		exit 2 ;;
	esac
}

other_names() { # MANAGER: Debian's names on stdin, one a line, the manager's on stdout
	case $1 in
	dnf) sed 's/^libc6-dev$/glibc-devel/; s/^linux-libc-dev$/kernel-headers/
		s/^grub-common$/grub2-tools-extra/
		s/^grub-pc-bin$/grub2-pc-modules/; s/^grub-efi-amd64-bin$/grub2-efi-x64-modules/
		s/^ovmf$/edk2-ovmf/
		s/^lib\(.*\)-dev$/\1-devel/; s/^bsd-devel$/libbsd-devel/; s/^gcc-x86-64/gcc-x86_64/
		s/^clang-tidy$/clang-tools-extra/' ;;
	pacman) sed 's/^libc6-dev$/glibc/; s/^linux-libc-dev$/linux-api-headers/
		s/^qemu-system-x86$/qemu-system-x86/
		s/^grub-.*/grub/; s/^xorriso$/libisoburn/; s/^ovmf$/edk2-ovmf/; s/^python3-/python-/
		s/^python3$/python/
		s/^libstb-dev$/stb/; s/^libxen-dev$/xen/; s/^libbsd-dev$/libbsd/
		s/^clang-tidy$/clang/' ;;
	zypper) sed 's/^libc6-dev$/glibc-devel/; s/^linux-libc-dev$/linux-glibc-devel/
		s/^grub-common$/grub2/
		s/^grub-pc-bin$/grub2-i386-pc/; s/^clang-tidy$/clang-tools/
		s/^grub-efi-amd64-bin$/grub2-x86_64-efi/; s/^ovmf$/qemu-ovmf-x86_64/
		s/^lib\(.*\)-dev$/\1-devel/; s/^bsd-devel$/libbsd-devel/' ;;
	apk) sed 's/^libc6-dev$/musl-dev bsd-compat-headers/; s/^linux-libc-dev$/linux-headers/
		s/^qemu-system-x86$/qemu-system-x86_64/; s/^grub-common$/grub/
		s/^grub-pc-bin$/grub-bios/
		s/^grub-efi-amd64-bin$/grub-efi/; s/^python3-/py3-/
		s/^clang-tidy$/clang-extra-tools/; s/^lib\(.*\)-dev$/\1-dev/
		s/^bsd-dev$/libbsd-dev/' ;;
	brew) sed 's/^gcc-x86-64.*/x86_64-elf-gcc/; s/^qemu-system-x86$/qemu/
		s/^clang\(-tidy\)*$/llvm/; s/^grub-.*/x86_64-elf-grub/
		s/^python3$/python/; s/^python3-.*//; s/^lib.*-dev$//; s/^linux-libc-dev$//
		s/^ovmf$//' ;;
	esac | sort -u | tr '\n' ' '
}

print_elsewhere() {
	for manager in "dnf:dnf install" "pacman:pacman -S --needed" "zypper:zypper install" \
		"apk:apk add" "brew:brew install"; do
		command -v "${manager%%:*}" > /dev/null 2>&1 || continue
		names=$(for p in $missing; do echo "$p"; done | other_names "${manager%%:*}")
		echo "setup: not a system with apt.  Type this, then try again:" >&2
		case $manager in brew*) sudo= ;; *) sudo="sudo " ;; esac
		echo "    $sudo${manager#*:} $names" >&2
		return
	done
	echo "setup: no package manager known here.  Install what Debian calls:$missing" >&2
}

dry=
[ "${1:-}" = -n ] && { dry=1 && shift; }
[ $# -gt 0 ] || { echo "usage: tools/setup.sh [-n] SET ..." >&2; exit 2; }
for set_ in "$@"; do
	look_for "$set_"
done
[ -n "$missing" ] || exit 0

echo "setup: missing:$missing"
if ! command -v apt-get > /dev/null 2>&1; then
	print_elsewhere
	exit 1
fi
lists=/var/lib/apt/lists
sudo=
[ "$(id -u)" = 0 ] || sudo=sudo
if [ -n "$dry" ] || { [ -n "$sudo" ] && ! command -v sudo > /dev/null 2>&1; }; then
	if [ -z "$dry" ]; then
		sudo=
		echo "setup: not root, and no sudo here.  Type this as root, then try again:"
	fi
	update=
	file $lists/*Packages* || update="${sudo:+sudo }apt-get update && "
	echo "    $update${sudo:+sudo }apt-get install -y --no-install-recommends$missing"
	exit 1
fi
apt() {
	$sudo env DEBIAN_FRONTEND=noninteractive apt-get "$@"
}
echo "setup: ${sudo:+sudo }apt-get install -y --no-install-recommends$missing"
file $lists/*Packages* || apt update || exit 1
# shellcheck disable=SC2086
apt install -y --no-install-recommends $missing ||
	{
		echo "setup: trying again with fresh lists"
		apt update && apt install -y --no-install-recommends $missing
	} ||
	exit 1
missing=
for set_ in "$@"; do
	look_for "$set_"
done
[ -z "$missing" ] || { echo "setup: installed, but still not found:$missing" >&2; exit 1; }
