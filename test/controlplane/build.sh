#!/usr/bin/env bash
# Builds bin/controlplane, the multi-call binary of the control plane, and the
# links to it in bin/k8s that envtest and `switchyard up` look for. Does
# nothing when the module and the Go version are those of the last build.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
bin=$(cd "$here/../.." && pwd)/bin
cd "$here"

version=$(go list -m -f '{{.Version}}' k8s.io/kubernetes)
etcd=$(go list -m -f '{{.Version}}' go.etcd.io/etcd/server/v3)
stamp=$(cat go.mod go.sum ./*.go build.sh <(go env GOVERSION) | sha256sum | cut -d' ' -f1)
if [ -x "$bin/controlplane" ] && [ "$(cat "$bin/.controlplane" 2>/dev/null)" = "$stamp" ]; then
	exit 0
fi

major=${version#v} minor=${version#v*.}
major=${major%%.*} minor=${minor%%.*}
ldflags="-s -w"
for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
	ldflags+=" -X $package.gitVersion=$version -X $package.gitMajor=$major -X $package.gitMinor=$minor"
	ldflags+=" -X $package.gitTreeState=clean"
done

echo "Building the control plane: Kubernetes $version, etcd $etcd (four to ten minutes on two cores when nothing is cached)"
mkdir -p "$bin/k8s"
go mod download
total=$(go list -deps . | wc -l)
# -v names each package as it is compiled; what is cached stays silent.
CGO_ENABLED=0 go build -v -o "$bin/controlplane.new" -ldflags "$ldflags" . 2>&1 | awk -v total="$total" '
	BEGIN { start = systime() }
	/^[a-zA-Z0-9_.\/-]+$/ { n++; if (n % 200 == 0) { printf "  %4d of at most %d packages, %d s\n", n, total, systime() - start; fflush() } next }
	{ print; fflush() }
	END { printf "  compiled %d packages and linked in %d s\n", n, systime() - start }'
mv "$bin/controlplane.new" "$bin/controlplane"
for program in etcd kube-apiserver kube-controller-manager kube-scheduler kube-proxy kubectl; do
	ln -sf ../controlplane "$bin/k8s/$program"
done
echo "$stamp" >"$bin/.controlplane"
