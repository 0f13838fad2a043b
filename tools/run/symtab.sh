#!/bin/sh
# SPDX-License-Identifier: MIT
# symtab.sh: make symbol_name()'s table from `nm -n` of the first link.
#
# Usage: symtab.sh NM-OUTPUT OUT.S        (NM-OUTPUT may be /dev/null: an empty table)
#
# The table: ksymtab_count (u64), ksymtab (sorted pairs of u64: address, offset in ksymtab_names),
# ksymtab_names (strings).  Code symbols only; the last entry is the end of the code.
set -eu
[ $# -eq 2 ] || { echo "usage: $0 nm-output out.S" >&2; exit 2; }
awk '
BEGIN {
	n = offset = 0
	print "/* Made by tools/run/symtab.sh. */"
	print "\t.section .note.GNU-stack,\"\",@progbits"
	print "\t.section .ksymtab,\"a\",@progbits"
	print "\t.balign 8"
	print "\t.globl ksymtab, ksymtab_count, ksymtab_names"
}
$2 ~ /^[tT]$/ && $1 ~ /^ffffffff/ && $3 !~ /^\./ {
	if ($1 == last)
		next
	last = $1
	address[n] = $1
	name[n++] = $3
}
END {
	print "ksymtab_count:\n\t.quad " n
	print "ksymtab:"
	for (i = 0; i < n; i++) {
		print "\t.quad 0x" address[i] ", " offset
		offset += length(name[i]) + 1
	}
	print "ksymtab_names:"
	for (i = 0; i < n; i++)
		print "\t.asciz \"" name[i] "\""
	print "\t.byte 0"
}' "$1" > "$2"
