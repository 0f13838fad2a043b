#!/bin/sh
# SPDX-License-Identifier: MIT
# in_turn.sh: run a command under a lock, one process at a time.
#
# Usage: in_turn.sh LOCK-FILE COMMAND...
set -eu

lock=$1
shift
command -v flock > /dev/null || exec "$@"
exec 9> "$lock"
flock -n 9 || { echo "make: another make builds in this directory; waiting for it" >&2; flock 9; }
# Close descriptor 9 for the command: a child of it that stays would keep the lock.
"$@" 9>&-
