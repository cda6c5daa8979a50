#!/bin/sh
# versions.sh DIR OUTDIR [VERSION...] answers the questions of DIR (written by
# "oracle generate") with the engine of each Prometheus version, such as 2.42
# or 3.16 or 2.53.4, into OUTDIR/answers-VERSION.jsonl. A minor version stands
# for its newest patch release in the list below.
set -eu

if [ $# -lt 2 ]; then
	echo "usage: versions.sh DIR OUTDIR [VERSION...]" >&2
	exit 2
fi
here=$(cd "$(dirname "$0")" && pwd)
dir=$(cd "$1" && pwd)
mkdir -p "$2"
out=$(cd "$2" && pwd)
shift 2
# The versions at which some answer changes, and their neighbours.
[ $# -gt 0 ] || set -- 2.40 2.42 2.48 2.49 2.50 2.51 2.53 2.54 2.55 3.0 3.4 3.5 3.10 3.15 3.16

# patch prints the newest patch release of a minor version that can be had.
patch() {
	case $1 in
	*.*.*) echo "$1" ;;
	2.40) echo 2.40.7 ;;
	2.48) echo 2.48.1 ;;
	2.49) echo 2.49.1 ;;
	2.50) echo 2.50.1 ;;
	2.51) echo 2.51.2 ;;
	2.53) echo 2.53.4 ;;
	2.54) echo 2.54.1 ;;
	2.55) echo 2.55.1 ;;
	3.0) echo 3.0.1 ;;
	3.4) echo 3.4.2 ;;
	3.5) echo 3.5.1 ;;
	3.15) echo 3.15.1 ;;
	*) echo "$1.0" ;;
	esac
}

# module turns 2.42.0 into v0.42.0 and 3.4.2 into v0.304.2.
module() {
	echo "$1" | awk -F. '{ if ($1 == 2) printf "v0.%d.%d\n", $2, $3; else printf "v0.%d.%d\n", 300 + $2, $3 }'
}

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' HUP INT TERM
status=0
for version in "$@"; do
	mod=$(module "$(patch "$version")")
	work=$tmp/$version
	mkdir -p "$work/answers"
	cp "$here/answers/answers.go" "$work/answers/"
	cp "$here/versions/main.go.txt" "$work/main.go"
	case $mod in
	v0.[123]?.* | v0.4[0123].*) cp "$here/versions/until-2.43.go.txt" "$work/version.go" ;;
	*) cp "$here/versions/from-2.44.go.txt" "$work/version.go" ;;
	esac
	if (
		cd "$work"
		printf 'module promproof-oracle\n\ngo 1.25\n\nrequire github.com/prometheus/prometheus %s\n' "$mod" >go.mod
		# Tidying would fetch what only the tests of old modules need.
		go get "github.com/prometheus/prometheus@$mod" && go build -mod=mod -o engine .
	) >"$work/build.log" 2>&1; then
		cp -r "$dir/data" "$work/data"
		start=$(date +%s)
		if "$work/engine" -dir "$dir" -data "$work/data" -out "$out/answers-$version.jsonl"; then
			echo "$version: $mod answered in $(($(date +%s) - start)) s"
		else
			status=1
		fi
	else
		echo "$version: $mod does not build:" >&2
		tail -n 20 "$work/build.log" >&2
		status=1
	fi
	rm -rf "$work"
done
exit $status
