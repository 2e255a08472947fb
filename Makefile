# Switchyard's targets. `make help` lists them; the go/v4 layout's names keep
# their meaning. Everything lands in bin/, and works offline once it is filled.
SHELL := /usr/bin/env bash -o pipefail
.DEFAULT_GOAL := help

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null)
LDFLAGS := -s -w -X switchyard.dev/switchyard/internal/version.Version=$(VERSION)
BIN := $(CURDIR)/bin
KUBECTL ?= $(BIN)/k8s/kubectl
KUSTOMIZE := go tool kustomize
# What `make up` passes to `switchyard up`, for example UPFLAGS="--nodes 3".
UPFLAGS ?=
FUZZTIME ?= 30s
# The container image, and what it is made for.
IMG ?= switchyard:latest
PLATFORMS ?= linux_amd64 linux_arm64
# The time in the image: of the commit, so that the same sources give the same image.
SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct 2>/dev/null || echo 0)
# One setting for all builds and tests, so that they share the build cache; it
# also needs no C compiler and gives static binaries. Only -race differs.
export CGO_ENABLED := 0
# Every Go module of the repository.
MODULES := $(shell git ls-files go.mod '*/go.mod' | xargs -n1 dirname)

##@ Try it

.PHONY: up
up: build controlplane ## Start a local cluster with Switchyard in it (UPFLAGS="--nodes 3").
	$(BIN)/switchyard up --keep-running $(UPFLAGS)

.PHONY: down
down: ## End the local cluster and remove everything it made.
	@if [ -x $(BIN)/switchyard ]; then $(BIN)/switchyard down; else echo "Nothing to do: no local cluster was built here."; fi

.PHONY: demo
demo: build controlplane ## Apply config/samples to a fresh local cluster and check each with real connections.
	$(BIN)/switchyard demo

##@ Build

.PHONY: build
build: ## Build the binaries into bin/.
	@mkdir -p $(BIN)
	go build -ldflags "$(LDFLAGS)" -o $(BIN)/switchyard-manager ./cmd/manager
	go build -ldflags "$(LDFLAGS)" -o $(BIN)/switchyard-node ./cmd/node
	go build -ldflags "$(LDFLAGS)" -o $(BIN)/switchyard-dns ./cmd/dns
	go build -ldflags "$(LDFLAGS)" -o $(BIN)/switchyard ./cmd/switchyard
	ln -sf switchyard $(BIN)/kubectl-switchyard
	ln -sf switchyard $(BIN)/kubectl_complete-switchyard

.PHONY: image
image: ## Assemble the container image without Docker: an OCI archive in dist/, for each of PLATFORMS.
	@rm -rf dist/image
	@for platform in $(PLATFORMS); do for program in manager node dns; do \
		echo "building switchyard-$$program for $$platform"; \
		GOOS=$${platform%_*} GOARCH=$${platform#*_} go build -trimpath -buildvcs=false -ldflags "$(LDFLAGS)" -o dist/image/$$platform/switchyard-$$program ./cmd/$$program || exit 1; \
	done; done
	cd hack/image && go run . -binaries $(CURDIR)/dist/image -output $(CURDIR)/dist/switchyard-image.tar -name $(IMG) \
		-version "$(VERSION)" -revision "$(shell git rev-parse HEAD 2>/dev/null)" -created "$(SOURCE_DATE_EPOCH)" $(IMAGEFLAGS)

.PHONY: image-push
image-push: ## Assemble the container image and push it to IMG.
	@$(MAKE) --no-print-directory image IMAGEFLAGS="-push $(IMG)"

.PHONY: docker-build
docker-build: ## Build the container image with Docker.
	docker build --build-arg VERSION="$(VERSION)" -t $(IMG) .

.PHONY: docker-push
docker-push: ## Push the container image with Docker.
	docker push $(IMG)

.PHONY: controlplane
controlplane: ## Build the control plane (etcd, kube-apiserver, ...) unless it is built.
	@if [ -z "$$KUBEBUILDER_ASSETS" ]; then test/controlplane/build.sh; else echo "Using KUBEBUILDER_ASSETS=$$KUBEBUILDER_ASSETS"; fi

# The peer of a test and of the benchmark; envtest's assets do not have it.
$(BIN)/k8s/kube-proxy: | controlplane
	test/controlplane/build.sh

# The benchmark's, with CoreDNS's own plugin in the place of ours.
$(BIN)/coredns: test/discovery/go.mod test/discovery/coredns/main.go
	cd test/discovery && go build -ldflags "-s -w" -o $@ ./coredns

.PHONY: setup-envtest
setup-envtest: controlplane ## Provide etcd and kube-apiserver for envtest.

.PHONY: run
run: build ## Run the manager against the cluster of the current kubeconfig.
	$(BIN)/switchyard-manager --webhooks=off

##@ Develop

.PHONY: help
help: ## Show this text.
	@awk 'BEGIN {FS = ":.*##"} /^[a-zA-Z_0-9-]+:.*?##/ { printf "  \033[36m%-16s\033[0m %s\n", $$1, $$2 } /^##@/ { printf "\n\033[1m%s\033[0m\n", substr($$0, 5) }' $(MAKEFILE_LIST)

.PHONY: manifests
manifests: ## Generate CRDs, RBAC, webhook and install manifests, and code, from the markers.
	@hack/generate.sh

.PHONY: generate
generate: manifests ## The same: one script generates all.

.PHONY: fmt
fmt: ## Format the code.
	@git ls-files '*.go' | xargs gofmt -w

.PHONY: vet
vet: ## Run go vet in every module.
	@for m in $(MODULES); do (cd $$m && go vet ./...) || exit 1; done

.PHONY: tidy
tidy: ## Run go mod tidy in every module.
	@for m in $(MODULES); do (cd $$m && go mod tidy) || exit 1; done

.PHONY: verify
verify: ## Check formatting, licences, tidiness, vet, lint and that generated files are up to date.
	@hack/verify.sh

GOLANGCI_LINT_VERSION ?= v2.15.0
GOLANGCI_LINT := $(BIN)/golangci-lint-$(GOLANGCI_LINT_VERSION)
$(GOLANGCI_LINT):
	GOBIN=$(BIN) go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_LINT_VERSION)
	mv $(BIN)/golangci-lint $@

.PHONY: lint
lint: $(GOLANGCI_LINT) ## Run golangci-lint.
	$(GOLANGCI_LINT) run
	cd hack/image && $(GOLANGCI_LINT) run
	cd hack/chart && $(GOLANGCI_LINT) run

GOVULNCHECK_VERSION ?= v1.8.0
GOVULNCHECK := $(BIN)/govulncheck-$(GOVULNCHECK_VERSION)
$(GOVULNCHECK):
	GOBIN=$(BIN) go install golang.org/x/vuln/cmd/govulncheck@$(GOVULNCHECK_VERSION)
	mv $(BIN)/govulncheck $@

# Not part of verify: what it finds depends on a database that it fetches.
.PHONY: vuln
vuln: $(GOVULNCHECK) ## Look for known vulnerabilities that the code calls (fetches https://vuln.go.dev, or GOVULNDB).
	@for m in $(MODULES); do echo "govulncheck in $$m"; (cd $$m && $(GOVULNCHECK) ./...) || exit 1; done

.PHONY: lint-fix
lint-fix: $(GOLANGCI_LINT) ## Run golangci-lint and mend what it can.
	$(GOLANGCI_LINT) run --fix

.PHONY: lint-config
lint-config: $(GOLANGCI_LINT) ## Check the linter's configuration.
	$(GOLANGCI_LINT) config verify

##@ Test

.PHONY: deps
deps: ## Install (as root) or name what the tests need from the distribution.
	@hack/deps.sh

.PHONY: test
test: deps build controlplane $(BIN)/k8s/kube-proxy $(BIN)/coredns ## Run every test: unit, envtest, packets in namespaces, end to end.
	GOGC=$(TESTGOGC) $(MAKE) --no-print-directory -j3 test-module test-unit test-differential test-discovery test-observability test-image test-chart

# Tests and the programs they start collect garbage less often: a quarter of the
# time that those which compute take, for more memory.
TESTGOGC ?= 400
# Most suites wait, for an API server, a lease or the kernel, more than they
# compute. The longest begin, beside the other modules, which compute.
TESTP ?= $(shell echo $$((2 * $$(nproc))))
# Packages whose tests need nothing but Go. Go keeps their results until something
# they are made of or read changes; CI does not take kept ones.
OUTSIDE = os/exec|syscall|golang.org/x/sys/unix|switchyard.dev/switchyard/(test|internal/localcluster)[^ ]*|[^ ]*(netns|netlink|nftables)[^ ]*
UNIT = go list -f '{{.ImportPath}} {{join .TestImports " "}} {{join .XTestImports " "}} ' ./... | grep -vE '^[^ ]*/test/| ($(OUTSIDE)) ' | cut -d' ' -f1
.PHONY: test-module
test-module:
	unit=$$($(UNIT)) && rest=$$(go list ./... | grep -vxF "$$unit") && \
		go test -p $(TESTP) -count=1 -timeout 20m ./test/install ./test/e2e ./test/announce ./test/envtest/... ./test/... $$rest

.PHONY: test-unit
test-unit: ## Run the tests that need nothing but Go.
	unit=$$($(UNIT)) && go test $(if $(CI),-count=1) $$unit

# SWITCHYARD_DIFFERENTIAL_CLUSTERS=3000 lets endpoint controllers live through more
# histories, SWITCHYARD_DIFFERENTIAL_SEED=2 through others; ..._FIRST=290 and
# ..._CLUSTERS=1 through one of them alone.
.PHONY: test-differential
test-differential: controlplane ## Compare validation, environments and endpoints with Kubernetes' own, over generated objects.
	cd test/differential && go test -count=1 -timeout 60m ./...

# SWITCHYARD_DIFFERENTIAL_SERVICES=240 asks for the names of more Services.
.PHONY: test-discovery
test-discovery: controlplane ## Compare DNS answers with those of CoreDNS's own plugin, over generated Services.
	cd test/discovery && go test -count=1 -timeout 15m ./...

.PHONY: test-observability
test-observability: ## Play alerts and check the dashboard with Prometheus's own engine.
	cd test/observability && go test -count=1 -timeout 10m ./...

.PHONY: test-image
test-image: ## Test what assembles the container image.
	cd hack/image && go test -count=1 -timeout 10m ./...

.PHONY: test-chart
test-chart: controlplane ## Compare the Helm chart with kustomize, and install, upgrade and remove it on an API server.
	cd hack/chart && go test -count=1 -timeout 10m ./...

.PHONY: test-netns
test-netns: deps build controlplane ## Run the packet tests in network namespaces.
	go test -count=1 -timeout 10m ./internal/dataplane/nft/... ./internal/dataplane/conntrack/... ./test/packet/... ./test/routes/... ./test/announce/...

.PHONY: test-e2e
test-e2e: deps build controlplane ## Run the end-to-end tests on a local cluster of their own.
	go test -count=1 -timeout 20m ./test/e2e/... ./internal/localcluster/...

CHAOSEACH ?= 1m
.PHONY: chaos
chaos: deps build controlplane ## Kill, flush, cut off and make fail whatever can be, under traffic, CHAOSEACH each.
	go test -count=1 -timeout 60m -v ./test/chaos -args -each=$(CHAOSEACH)

.PHONY: test-fuzz
test-fuzz: ## Fuzz each fuzz target for FUZZTIME.
	@hack/fuzz.sh $(FUZZTIME)

.PHONY: test-long
test-long: test ## Run the tests in their long forms: fuzzing and the race detector on top.
	go test -count=1 -timeout 40m ./test/envtest/replicas -args -steps=60
	go test -count=1 -timeout 40m ./test/envtest/managers -args -pods=1000
	go test -count=1 -timeout 40m ./test/envtest/loadbalancer -args -services=1000
	SWITCHYARD_DIFFERENTIAL_CLUSTERS=500 SWITCHYARD_DIFFERENTIAL_SERVICES=240 $(MAKE) --no-print-directory test-differential test-discovery
	CGO_ENABLED=1 go test -race -timeout 40m ./allocator/... ./controllers/... ./webhooks/... ./internal/dataplane/... ./test/chaos
	hack/fuzz.sh $(FUZZTIME)

# For example BENCHFLAGS=-quick, which takes six minutes in place of twenty and
# leaves the page as it is. With -only=webhooks, endpoints or dns and -markdown it keeps the rest.
BENCHFLAGS ?= -markdown docs/benchmarks.md
.PHONY: bench
bench: deps build controlplane $(BIN)/k8s/kube-proxy $(BIN)/coredns ## Measure each program beside its peer, and write docs/benchmarks.md (BENCHFLAGS=-quick).
	go test -run '^$$' -bench . -benchmem -benchtime 0.3s ./allocator/... ./controllers/... ./webhooks/... ./internal/dataplane/... | tee $(BIN)/go-bench.txt
	go build -o $(BIN)/bench ./test/bench
	$(BIN)/bench -go-bench $(BIN)/go-bench.txt $(BENCHFLAGS)

##@ Install on a cluster

# Which of config/overlays: stock (beside kube-proxy), node (in its place) or full
# (and in that of kube-controller-manager's endpoint controllers).
OVERLAY ?= node
RENDER = hack/render.sh "$(IMG)"

.PHONY: build-installer
build-installer: manifests ## Render dist/install-*.yaml, one for each overlay and one for the DNS server, with the image IMG.
	@hack/installer.sh "$(IMG)"

.PHONY: chart
chart: ## Generate the Helm chart dist/chart/switchyard from config/.
	cd hack/chart && go run . -output ../../dist/chart/switchyard

# The chart's version is VERSION where that is a semantic one, with the image IMG.
CHART_REGISTRY ?= oci://localhost:5000/charts
.PHONY: chart-package
chart-package: ## Pack the Helm chart with the image IMG: dist/switchyard-VERSION.tgz.
	cd hack/chart && go run . -output $(CURDIR)/dist/chart-package/switchyard -version "$(VERSION)" -image "$(IMG)" && \
		go run ./pack -chart $(CURDIR)/dist/chart-package/switchyard -output $(CURDIR)/dist -created "$(SOURCE_DATE_EPOCH)" $(PACKFLAGS)

.PHONY: chart-push
chart-push: ## Pack the Helm chart and push it to CHART_REGISTRY.
	@$(MAKE) --no-print-directory chart-package PACKFLAGS="-push $(CHART_REGISTRY)"

.PHONY: install
install: ## Install the CRDs alone on the cluster of the current kubeconfig.
	$(KUSTOMIZE) build config/crd | $(KUBECTL) apply --server-side -f -

.PHONY: uninstall
uninstall: ## Remove the CRDs, and with them every pool and reservation.
	$(KUSTOMIZE) build config/crd | $(KUBECTL) delete --ignore-not-found -f -

.PHONY: deploy
deploy: ## Install OVERLAY with the image IMG on the cluster of the current kubeconfig.
	$(RENDER) config/overlays/$(OVERLAY) | $(KUBECTL) apply --server-side -f -

.PHONY: undeploy
undeploy: ## Remove OVERLAY from the cluster of the current kubeconfig.
	$(RENDER) config/overlays/$(OVERLAY) | $(KUBECTL) delete --ignore-not-found -f -
