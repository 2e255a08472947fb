#!/usr/bin/env bash
# Fuzzes every fuzz target of the repository for the given time each.
set -euo pipefail
time=${1:-30s}
cd "$(dirname "${BASH_SOURCE[0]}")/.."
git grep -lE '^func Fuzz' -- '*_test.go' | xargs -n1 dirname | sort -u | while read -r dir; do
	for target in $(grep -hoE '^func Fuzz[A-Za-z0-9_]+' "$dir"/*_test.go | cut -d' ' -f2); do
		echo "== $dir $target for $time"
		# Some are in modules of their own.
		(cd "$dir" && go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" .)
	done
done
