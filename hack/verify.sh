#!/usr/bin/env bash
# The checks behind `make verify`, in three phases: regenerate, look, and
# compare the tree with what was committed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
failed=0
fail() { echo "FAIL: $*" >&2; failed=1; }

echo "verify: regenerating"
make --no-print-directory manifests generate

echo "verify: looking"
unformatted=$(git ls-files '*.go' | xargs gofmt -l)
[ -z "$unformatted" ] || fail "gofmt would change (run make fmt): $unformatted"
unlicensed=$(git ls-files '*.go' | xargs grep -L "Licensed under the Apache License" || true)
[ -z "$unlicensed" ] || fail "no licence header (see hack/boilerplate.go.txt): $unlicensed"
git ls-files '*.go' | xargs -n1 dirname | sort -u | while read -r dir; do
	grep -qsE '^// (Package|Command) ' "$dir"/*.go || echo "$dir"
done >/tmp/verify-docs.$$
[ -s /tmp/verify-docs.$$ ] && fail "no package comment in: $(tr '\n' ' ' </tmp/verify-docs.$$)"
rm -f /tmp/verify-docs.$$
for module in $(git ls-files 'go.mod' '*/go.mod' | xargs -n1 dirname); do
	(cd "$module" && go mod tidy -diff >/dev/null) || fail "go.mod or go.sum of $module is not tidy (run go mod tidy there)"
	(cd "$module" && go vet ./...) || fail "go vet in $module"
done
make --no-print-directory lint || fail "golangci-lint (run make lint; make lint-fix mends some)"

echo "verify: comparing"
dirty=$(git status --porcelain)
[ -z "$dirty" ] || fail "generated files differ from what is committed, or files are not committed:
$dirty"
[ "$failed" = 0 ] && echo "verify: all well"
exit "$failed"
