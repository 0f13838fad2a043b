#!/bin/sh
# SPDX-License-Identifier: MIT
# setup.sh: install missing packages, and no others.
#
# Usage: setup.sh [-n | -l] SET ...
#
# needs.txt beside this file lists the sets.  A row is: set | Debian's package | the test that finds
# it | what is left out without it | known distributions that do not have it.  A package A/B is A,
# or B where there is no A.  A package without which something is left out is optional: where apt
# does not have it, a line says so, and all else goes on.
#
# Without missing packages no package manager is called.  Debian and Ubuntu: installs with apt, by
# sudo if not run as root.  On other systems, and with -n, prints the command to type and exits with
# status 1.  -l installs nothing; it prints a line for each optional package that is missing: what
# is left out, the package, and the distributions that do not have it.
set -u

case $0 in */*) here=${0%/*} ;; *) here=. ;; esac
lists=/var/lib/apt/lists
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
apt_file() { file "$@" || ! tool apt-get; } # other systems have it in another package
header() { file /usr/include/"$1" /usr/include/*-linux-gnu*/"$1" /usr/local/include/"$1"; }
grub() { file /usr/lib/grub*/"$1"/multiboot2.mod /usr/share/grub*/"$1"/multiboot2.mod; }
ovmf() {
	file /usr/share/OVMF/OVMF_CODE_4M.fd /usr/share/OVMF/OVMF_CODE.fd \
		/usr/share/edk2/ovmf/OVMF_CODE.fd /usr/share/edk2/x64/OVMF_CODE.4m.fd
}
font() { sh "$here/font.sh" || ! tool apt-get; } # without one the screen stays dark
python_has() { # MODULES, with commas: does one interpreter have them all?
	for p in /usr/bin/python3 python3; do
		"$p" -c "import $1" 2> /dev/null && return 0
	done
	return 1
}
has_theme() { mkdocs build --help | grep -q "[[|]material[]|]"; }
has_fuzzer() {
	echo 'int LLVMFuzzerTestOneInput(const char *p, unsigned long n) { return n > 9 && *p; }' |
		clang -fsanitize=fuzzer,address -x c - -o /dev/null
}
compiles_for_x86() {
	case $(uname -m) in x86_64 | amd64) return 0 ;; esac
	tool x86_64-linux-gnu-gcc || { tool clang && tool ld.lld; }
}
candidate() { # PACKAGE: the version that apt would install, or nothing
	apt-cache policy "$1" 2> /dev/null | sed -n 's/^  Candidate: \([^(].*\)/\1/p'
}
name_here() { # PACKAGE of needs.txt: its name here
	case $1 in
	*CLANG*) # of the clang that is installed, or will be
		major=$(clang -dumpversion 2> /dev/null || candidate clang | sed 's/.*://')
		echo "${1%CLANG*}${major%%.*}${1#*CLANG}" ;;
	*/*) [ "$(candidate "${1%/*}")" ] && echo "${1%/*}" || echo "${1#*/}" ;;
	*) echo "$1" ;;
	esac
}

# Set missing to the packages of the sets $wanted that are not found and not optional; optional to a
# line WHAT PACKAGE DISTRIBUTIONS for each other one that is not found.
look_for() {
	missing='' optional=''
	while read -r set_ bar package rest; do
		case " $wanted " in *" $set_ "*) ;; *) continue ;; esac
		[ "$bar" != = ] || wanted="$wanted $package $rest"
		[ "$bar" = "|" ] || continue
		rest=${rest#*|} what=
		eval "${rest%%|*}" > /dev/null 2>&1 && continue
		package=$(name_here "$package") rest=${rest#*|}
		for what in ${rest%%|*}; do
			optional="$optional$what $package ${rest#*|}
"
		done
		case "$what $missing " in
		" "*" $package "*) ;;
		" "*) missing="$missing $package" ;;
		esac
	done < "$here/needs.txt"
}

# Add the optional packages that apt has to missing; say what is left out without the others.  What
# is left out for one package gets none of its others, which may depend on that one.
choose() {
	distribution=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release 2> /dev/null)
	left='' use=''
	while read -r what package absent; do
		if ! tool apt-get; then
			has=
		elif file $lists/*Packages*; then
			has=$(candidate "$package")
		else
			case " $absent " in *" $distribution "*) has= ;; *) has=yes ;; esac
		fi
		case "$has $missing " in
		" "*) left="$left, $what (no package $package)" ;;
		*" $package "*) ;;
		*) use="$use $what/$package" ;;
		esac
	done <<-END
		${optional%?}
	END
	for package in $use; do
		case "$left," in
		*", ${package%%/*} "*) ;;
		*) missing="$missing ${package#*/}" ;;
		esac
	done
	echo "${left:+setup: left out: ${left#, }}"
}

other_names() { # MANAGER: Debian's names on stdin, one a line, the manager's on stdout
	case $1 in
	dnf) sed 's/^libc6-dev$/glibc-devel/; s/^linux-libc-dev$/kernel-headers/
		s/^grub-common$/grub2-tools-extra/
		s/^grub-pc-bin$/grub2-pc-modules/; s/^grub-efi-amd64-bin$/grub2-efi-x64-modules/
		s/^ovmf$/edk2-ovmf/
		s/^lib\(.*\)-dev$/\1-devel/; s/^bsd-devel$/libbsd-devel/; s/^gcc-x86-64/gcc-x86_64/
		s/^clang-tidy$/clang-tools-extra/; s/^g++$/gcc-c++/' ;;
	pacman) sed 's/^libc6-dev$/glibc/; s/^linux-libc-dev$/linux-api-headers/
		s/^qemu-system-x86$/qemu-system-x86/
		s/^grub-.*/grub/; s/^xorriso$/libisoburn/; s/^ovmf$/edk2-ovmf/; s/^python3-/python-/
		s/^python3$/python/
		s/^libstb-dev$/stb/; s/^libxen-dev$/xen/; s/^libbsd-dev$/libbsd/
		s/^clang-tidy$/clang/; s/^g++$/gcc/' ;;
	zypper) sed 's/^libc6-dev$/glibc-devel/; s/^linux-libc-dev$/linux-glibc-devel/
		s/^grub-common$/grub2/
		s/^grub-pc-bin$/grub2-i386-pc/; s/^clang-tidy$/clang-tools/; s/^g++$/gcc-c++/
		s/^grub-efi-amd64-bin$/grub2-x86_64-efi/; s/^ovmf$/qemu-ovmf-x86_64/
		s/^lib\(.*\)-dev$/\1-devel/; s/^bsd-devel$/libbsd-devel/' ;;
	apk) sed 's/^libc6-dev$/musl-dev bsd-compat-headers/; s/^linux-libc-dev$/linux-headers/
		s/^qemu-system-x86$/qemu-system-x86_64/; s/^grub-common$/grub/
		s/^grub-pc-bin$/grub-bios/
		s/^grub-efi-amd64-bin$/grub-efi/; s/^python3-/py3-/
		s/^clang-tidy$/clang-extra-tools/; s/^lib\(.*\)-dev$/\1-dev/
		s/^bsd-dev$/libbsd-dev/' ;;
	esac | sort -u | tr '\n' ' '
}

print_elsewhere() {
	for manager in "dnf:dnf install" "pacman:pacman -S --needed" "zypper:zypper install" \
		"apk:apk add"; do
		command -v "${manager%%:*}" > /dev/null 2>&1 || continue
		names=$(for p in $missing; do echo "$p"; done | other_names "${manager%%:*}")
		echo "setup: not a system with apt.  Type this, then try again:" >&2
		echo "    sudo ${manager#*:} $names" >&2
		return
	done
	echo "setup: no package manager known here.  Install what Debian calls:$missing" >&2
}

option=
case ${1:-} in -n | -l) option=$1 && shift ;; esac
[ $# -gt 0 ] || { echo "usage: tools/run/setup.sh [-n | -l] SET ..." >&2; exit 2; }
for set_ in "$@"; do
	[ "$(sed -n "/^$set_ *[|=]/p" "$here/needs.txt")" ] || {
		echo "setup: no set '$set_'; known:" \
			$(sed -n 's/^\([a-z-]*\) *[|=].*/\1/p' "$here/needs.txt" | sort -u) >&2
		exit 2
	}
done
wanted="$*"
look_for
[ "$option" != -l ] || { printf %s "$optional"; exit 0; }
[ -n "$missing$optional" ] || exit 0

sudo=
[ "$(id -u)" = 0 ] || sudo=sudo
by_hand=
[ -z "$option" ] && { [ -z "$sudo" ] || tool sudo; } || by_hand=yes
if tool apt-get && [ -z "$by_hand" ] && ! file $lists/*Packages*; then
	$sudo apt-get update || exit 1 # what apt has is known only then
fi
[ -z "$optional" ] || choose
[ -n "$missing" ] || exit 0
echo "setup: missing:$missing"
if ! tool apt-get; then
	print_elsewhere
	exit 1
fi
install="apt-get install -y --no-install-recommends$missing"
if [ -n "$by_hand" ]; then
	[ -n "$option" ] || {
		sudo=
		echo "setup: not root, and no sudo here.  Type this as root, then try again:"
	}
	update=
	file $lists/*Packages* || update="${sudo:+sudo }apt-get update && "
	echo "    $update${sudo:+sudo }$install"
	exit 1
fi
apt() {
	$sudo env DEBIAN_FRONTEND=noninteractive apt-get "$@"
}
echo "setup: ${sudo:+sudo }$install"
# shellcheck disable=SC2086
apt ${install#* } ||
	{
		echo "setup: trying again with fresh lists"
		apt update && apt ${install#* }
	} ||
	exit 1
asked=$missing
look_for
for package in $asked; do
	case " $missing $optional" in
	*" $package "*) echo "setup: installed, but still not found: $package" >&2 && exit 1 ;;
	esac
done
