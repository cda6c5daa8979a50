#!/bin/sh
# seeds.sh FIRST LAST DIR writes the cases of every seed from FIRST to LAST to
# DIR/<seed>/<case>/. A seed takes 20 s and 17 MB. A seed that is complete is
# not written again.
set -eu

if [ $# -ne 3 ]; then
	echo "usage: seeds.sh FIRST LAST DIR" >&2
	exit 2
fi
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$3"
out=$(cd "$3" && pwd)
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' HUP INT TERM
(cd "$here" && go build -o "$tmp/fixturegen" .)
seed=$1
while [ "$seed" -le "$2" ]; do
	if [ ! -d "$out/$seed" ]; then
		rm -rf "$out/$seed.part"
		"$tmp/fixturegen" -seed "$seed" -out "$out/$seed.part" >"$tmp/log" 2>&1 || {
			cat "$tmp/log" >&2
			echo "seed $seed failed" >&2
			exit 1
		}
		mv "$out/$seed.part" "$out/$seed"
		echo "seed $seed: $(ls "$out/$seed" | wc -l) cases"
	fi
	seed=$((seed + 1))
done
