#!/usr/bin/env bash
# Fuzzes every fuzz target of the repository, or those below the directories that
# are named, for the given time or number of executions (5000x) each. What is
# interesting goes to Go's build cache.
#
# At the end of a time, Go before 1.27 sometimes calls its own deadline a failure of
# the target (golang/go#75804). A failure that says no more than that, and has left no
# input, is told and passed over; a number of executions knows no deadline.
set -euo pipefail
time=${1:-30s}
shift || true
cd "$(dirname "${BASH_SOURCE[0]}")/.."
[ $# -gt 0 ] || set -- .
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# deadline tells whether the log's only failure is Go's own deadline.
deadline() {
	! grep -q 'Failing input written' "$log" &&
		[ "$(grep -c '^--- FAIL' "$log")" = 1 ] &&
		[ "$(grep -A2 "^--- FAIL: $1 " "$log" | sed 1d | tr -d '\n')" = "    context deadline exceededFAIL" ]
}
paths=()
for path; do paths+=("${path%/}/*_test.go"); done
git grep -lE '^func Fuzz' -- "${paths[@]}" | xargs -n1 dirname | sort -u | while read -r dir; do
	for target in $(grep -hoE '^func Fuzz[A-Za-z0-9_]+' "$dir"/*_test.go | cut -d' ' -f2); do
		echo "== $dir $target for $time"
		# Some are in modules of their own.
		(cd "$dir" && go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" -fuzzminimizetime 10s .) 2>&1 | tee "$log" && continue
		deadline "$target" || exit 1
		echo "== $dir $target: Go's own deadline, no failing input"
	done
done
