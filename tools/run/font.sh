#!/bin/sh
# SPDX-License-Identifier: MIT
# font.sh: find a font for the console on the screen.
#
# Usage: font.sh [OUT]    unpack it to OUT; without OUT only print its name
#
# FONT=FILE[.gz] in the environment chooses another font: PSF, version 1 or 2.  Exit status 1: no
# font was found.
set -u

for f in ${FONT:+"$FONT"} /usr/share/consolefonts/Unifont-APL8x16.psf.gz \
	/usr/share/consolefonts/Lat15-Terminus16.psf.gz \
	/usr/share/consolefonts/Lat15-Fixed16.psf.gz \
	/usr/share/kbd/consolefonts/default8x16.psfu.gz \
	/usr/lib/kbd/consolefonts/default8x16.psfu.gz \
	/usr/lib/kbd/consolefonts/eurlatgr.psfu.gz; do
	if [ ! -f "$f" ]; then
		[ "$f" = "${FONT:-}" ] && echo "font: no such file: $f" >&2 && exit 1
		continue
	fi
	if [ $# = 0 ]; then
		echo "$f"
	else
		case $f in
		*.gz) gzip -dc "$f" > "$1" ;;
		*) cp "$f" "$1" ;;
		esac || exit 1
	fi
	exit 0
done
exit 1
