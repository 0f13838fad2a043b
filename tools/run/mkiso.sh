#!/bin/sh
# SPDX-License-Identifier: MIT
# mkiso.sh: make an ISO image that boots Quarry by GRUB, on BIOS and on UEFI machines.
#
# Usage: mkiso.sh OUT.iso KERNEL.elf "cmdline" [name=path ...]
#
# Each name=path is a module: the file at path, under that name in the kernel.  A font for the
# screen is added as font.psf.  The files are staged in OUT.iso.d, beside the image.  GRUB runs the
# commands in the variable GRUB_FIRST first.
set -eu

die() {
	echo "mkiso: $*" >&2
	exit 1
}

[ $# -ge 3 ] || die 'usage: tools/run/mkiso.sh OUT.iso KERNEL.elf "cmdline" [name=path ...]'
out=$1 kernel=$2 cmdline=$3
shift 3
stage=$out.d
here=$(dirname "$0")

for tool in grub-mkrescue grub-file xorriso mformat; do
	command -v "$tool" > /dev/null || die "$tool is missing (grub-common, xorriso, mtools)"
done
# grub-mkrescue silently leaves out a platform that is not installed.
grub=${GRUB_LIB:-/usr/lib/grub}
for platform in i386-pc x86_64-efi; do
	if [ -f "$grub/$platform/multiboot2.mod" ]; then
		continue
	elif [ "$platform" = i386-pc ]; then
		die "$grub/$platform/multiboot2.mod is missing: install grub-pc-bin"
	else
		echo "mkiso: no $grub/$platform (grub-efi-amd64-bin):" \
			"the image will not boot on UEFI" >&2
	fi
done
[ -f "$kernel" ] || die "no such kernel: $kernel"
menu=$here/../../boot/grub.cfg
[ -f "$menu" ] || die "no such file: $menu"
grub-file --is-x86-multiboot2 "$kernel" || die "$kernel has no multiboot2 header"

rm -rf "$stage"
mkdir -p "$stage/boot/grub"
# GRUB reads every section: without debug information it reads a quarter of the bytes.
strip -g -o "$stage/boot/quarry.elf" "$kernel" 2> /dev/null ||
	cp "$kernel" "$stage/boot/quarry.elf"
: > "$stage.modules"
for module in "$@"; do
	name=${module%%=*} path=${module#*=}
	case $module in
	?*=?*) ;;
	*) die "module '$module' is not name=path" ;;
	esac
	[ -f "$path" ] || die "no such module: $path"
	cp "$path" "$stage/boot/$name"
	printf '\tmodule2 /boot/%s %s\n' "$name" "$name" >> "$stage.modules"
done
if sh "$here/font.sh" "$stage/boot/font.psf"; then
	printf '\tmodule2 /boot/font.psf font.psf\n' >> "$stage.modules"
else
	echo "mkiso: no font (psf-unifont): nothing will be on the screen" >&2
fi
# Put each word in single quotes, so that GRUB's shell does not interpret it.
words=$(printf '%s' "$cmdline" | tr '\n\t' '  ' |
	sed "s/  */ /g; s/^ //; s/ \$//; s/'/'\\\\''/g; s/ /' '/g; s/..*/'&'/")
{
	printf '%s\n' "${GRUB_FIRST:-}"
	cat "$menu"
} | while IFS= read -r line; do
	case $line in
	'#'*) ;;
	*@CMDLINE@*) printf '%s%s\n' "${line%@CMDLINE@*}" "$words" ;;
	@MODULES@) cat "$stage.modules" ;;
	*) printf '%s\n' "$line" ;;
	esac
done > "$stage/boot/grub/grub.cfg"
rm -f "$stage.modules"

# On UEFI, GRUB begins with loading the module of every kind of partition table.
parts=$(tr '\n' ' ' < "$grub/i386-pc/partmap.lst")
log=$out.log
grub-mkrescue --locales= --fonts= --themes= \
	--install-modules="multiboot2 normal serial terminal all_video iso9660 configfile echo \
mmap $parts" \
	-o "$out" "$stage" > "$log" 2>&1 || { cat "$log" >&2; die "grub-mkrescue failed"; }
rm -f "$log"
