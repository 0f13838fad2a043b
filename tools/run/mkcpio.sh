#!/bin/sh
# SPDX-License-Identifier: MIT
# mkcpio.sh: pack files into a cpio archive ("newc"), which is one boot module of the kernel.
#
# Usage: mkcpio.sh OUT.cpio name=path ...
set -eu

[ $# -ge 1 ] || { echo "usage: tools/run/mkcpio.sh OUT.cpio name=path ..." >&2; exit 1; }
out=$1
shift

zeros() { # print as many zeros as pad $1 bytes to a multiple of 4
	case $(($1 % 4)) in
	1) printf '\000\000\000' ;;
	2) printf '\000\000' ;;
	3) printf '\000' ;;
	esac
}
member() { # NAME SIZE: print all of a file's entry but the content
	printf '070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%s\000' \
		0 33188 0 0 1 0 "$2" 0 0 0 0 $((${#1} + 1)) 0 "$1"
	zeros $((110 + ${#1} + 1))
}

# Exchange each name=path for its path.  One wc counts the bytes of all: processes take time.
names=
for file in "$@"; do
	case $file in
	?*=?*) ;;
	*) echo "mkcpio: '$file' is not name=path" >&2 && exit 1 ;;
	esac
	names="$names${file%%=*}
"
	set -- "$@" "${file#*=}"
	shift
done
sizes=
[ $# = 0 ] || sizes=$(wc -c "$@")
while [ $# != 0 ] && read -r size _; do
	name=${names%%
*}
	names=${names#*
}
	member "$name" "$size"
	cat "$1"
	zeros "$size"
	shift
done > "$out" << END
$sizes
END
member 'TRAILER!!!' 0 >> "$out"
