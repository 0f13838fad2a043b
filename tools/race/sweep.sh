#!/bin/sh
# SPDX-License-Identifier: MIT
# sweep.sh: run the explorer with many seeds, by GNU parallel: one job and one JSON line for each
# seed.
#
# Usage: sweep.sh PROGRAM SETS FIRST-SEED LAST-SEED SCHEDULES > FILE.jsonl
#
#   PROGRAM    build/fiber/race, or a variant's: build/variant/ID/build/fiber/race
#   SETS       names with commas (race --sets lists them), or "all"
#   SCHEDULES  of each set and seed, at most: a seed stops at its first failure
#
# PARALLEL="--sshlogin host1,host2" and the like go to GNU parallel; without it the seeds run one
# after the other.  A single line can be repeated:
# race --explore SET --seed=N --max=SCHEDULES --json.
# Exit status 0: no schedule failed.
set -u
if [ $# != 5 ]; then
	echo "usage: tools/race/sweep.sh PROGRAM SETS FIRST-SEED LAST-SEED SCHEDULES" >&2
	exit 2
fi
program=$1 sets=$2 first=$3 last=$4 max=$5
[ -x "$program" ] || { echo "sweep: no program $program" >&2; exit 2; }
[ "$sets" != all ] || sets=$("$program" --sets | paste -sd,)
if command -v parallel > /dev/null; then
	# shellcheck disable=SC2086
	parallel ${PARALLEL:-} --will-cite -j "${JOBS:-2}" \
		"$program" --explore '{1}' --seed='{2}' --max="$max" --json \
		::: $(echo "$sets" | tr , ' ') ::: $(seq "$first" "$last")
	exit $(($? != 0))
fi
failed=0
for set in $(echo "$sets" | tr , ' '); do
	for seed in $(seq "$first" "$last"); do
		"$program" --explore "$set" --seed="$seed" --max="$max" --json || failed=1
	done
done
exit $failed
