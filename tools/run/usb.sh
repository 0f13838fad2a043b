#!/bin/sh
# SPDX-License-Identifier: MIT
# usb.sh: check that an image of mkiso.sh boots from a USB stick, and say how to write it to one.
#
# Usage: usb.sh IMAGE
#
# The image needs: code for BIOS in its first sector, a partition that UEFI finds, with its loader,
# and a font, without which nothing is on the screen.
set -eu

die() {
	echo "usb: $*" >&2
	exit 1
}

[ $# = 1 ] || die "usage: tools/run/usb.sh IMAGE"
image=$1
[ -f "$image" ] || die "no such image: $image"
[ "$(od -A n -t x1 -j 510 -N 2 "$image" | tr -d ' ')" = 55aa ] ||
	die "$image: no boot sector: it does not boot by BIOS"
areas=$(xorriso -indev "$image" -report_system_area plain 2> /dev/null)
echo "$areas" | grep -q 'System area summary:.* grub2-mbr' ||
	die "$image: no code in the boot sector: it does not boot by BIOS"
echo "$areas" | grep -q 'GPT partition path *:.* /efi.img' ||
	die "$image: no partition for UEFI: install grub-efi-amd64-bin (make setup)"
[ -n "$(xorriso -indev "$image" -find /boot -name font.psf 2> /dev/null)" ] ||
	die "$image: no font, so nothing would be on the screen: install psf-unifont (make setup)"
cat <<END
$image: $(($(wc -c < "$image") / 1048576 + 1)) MiB, boots by BIOS and by UEFI
To write it to a stick, whose content is lost (lsblk shows which device it is):
  sudo dd if=$image of=/dev/sdX bs=4M conv=fsync
In the firmware's settings turn Secure Boot off; docs/machine.md says what you should see.
END
