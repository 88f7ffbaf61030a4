# Everything that is built goes to bin/. Nothing is installed and nothing needs root.

GO      ?= go
TOOL    := $(GO) tool -modfile=hack/tools/go.mod
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
# What images are built for.
PLATFORMS ?= linux/amd64,linux/arm64

# client-go brings its own HTTP/2, so the program does without the second one in net/http; hack/image and the Dockerfile agree.
CERTGEN := -tags nethttpomithttp2

# Modules of their own, so that nobody who imports pkg takes over what they require. ./... of the root leaves them out.
MODULES := hack/image hack/plot hack/terminal

# A user's settings must not change what is built or tested. The flags are those that the control plane is built with, so
# that packages which both need are compiled once.
export GOFLAGS     := -mod=readonly -buildvcs=false -trimpath
export GOWORK      := off
export CGO_ENABLED := 0

# Compilers, tests and the servers they start look for garbage less often, which takes a sixth of their time; pods do not see it.
export GOGC        ?= 400
bench bench-check: export GOGC = 100

.DEFAULT_GOAL := help

##@ Try it

.PHONY: demo
demo: build ## Install the chart on a local API server, show every webhook at work and switch modes (KEEP=1 leaves it running)
	@$(GO) run ./hack/controlplane servers controllers >/dev/null
	@bin/demo $(if $(KEEP),--keep)

# Runs a command on a terminal and draws what it shows. The command sees no other make above it, whose options it would follow.
RECORD := MAKEFLAGS= MAKELEVEL= bin/terminal

bin/terminal: $(wildcard hack/terminal/*)
	@cd hack/terminal && $(GO) build -o ../../bin/terminal .

.PHONY: bin/plot
bin/plot:
	@$(GO) build -C hack/plot -o ../../$@ .

.PHONY: demo-picture
demo-picture: build bin/terminal ## Run the demo on a terminal, draw what it shows as docs/demo.svg, and write the same text into the README
	@$(RECORD) -o docs/demo.svg -title "What a terminal shows during make demo" -- make demo
	@$(GO) test -vet=off ./docs -update -run TestThePageHasTheTextOfItsPicture >/dev/null

.PHONY: verify-picture
verify-picture: build bin/terminal ## Draw what verify prints of a release that works, and of one that does not, as docs/verify*.svg
	@$(GO) run ./hack/controlplane servers controllers >/dev/null
	@$(GO) run ./hack/picture verify

.PHONY: dashboard-picture
dashboard-picture: build bin/plot ## Record the controller's metrics for five minutes and draw what the dashboard shows of them as docs/dashboard.svg
	@$(GO) run ./hack/controlplane servers controllers >/dev/null
	@$(GO) run ./hack/picture record
	@bin/plot dashboard

##@ Develop

.PHONY: build
build: ## Build the programs into bin: kthena-certgen, the stand-in for Kthena's servers, the demo
	@mkdir -p bin
	@$(GO) run ./hack/build $(CERTGEN) -ldflags '-s -w -X main.version=$(VERSION)' -o bin/ ./cmd/kthena-certgen
	@$(GO) run ./hack/build -ldflags '-s -w -X main.version=$(VERSION)' -o bin/ ./test/rig/standin ./hack/demo

.PHONY: controlplane
controlplane: ## Build etcd, kube-apiserver and the controllers from their Go modules (once per version)
	@$(GO) run ./hack/controlplane >/dev/null

.PHONY: test
test: controlplane build ## Run every test, on a real API server
	@$(GO) vet -tags e2e ./...
	@# Side by side: most of those on a cluster wait for something, and those that need none only compute.
	@$(MAKE) --no-print-directory -j 3 test-clusters test-units test-modules

# Without -vet=off go test would look at all packages that are required once more, by other rules.
GO_TEST := $(GO) test -short -vet=off -timeout 30m

.PHONY: test-clusters
test-clusters:
	@# Each time, since go does not see when the programs in bin have changed. Those that take longest come first.
	@first='/test/(controller|chart|manual|confinement)$$'; all="$$($(GO) list ./test/... | grep -v /test/rig/)"; \
		$(GO_TEST) -count=1 -p $$(($$(getconf _NPROCESSORS_ONLN) + 1)) -parallel 6 $$(echo "$$all" | grep -E "$$first") $$(echo "$$all" | grep -vE "$$first")

.PHONY: test-units
test-units:
	@# What has not changed is not tested again, as go does.
	@$(GO_TEST) ./charts/... ./test/rig/... ./cmd/... ./docs/... ./hack/... ./internal/... ./pkg/...

.PHONY: test-modules
test-modules:
	@# Each time: of a file outside the module of a test Go does not see that it has changed.
	@for module in $(MODULES); do $(GO) vet -C $$module ./... && $(GO) test -C $$module -vet=off -count=1 ./... || exit 1; done

.PHONY: test-long
test-long: controlplane build test-modules ## Run every test with the numbers of make matrix, make rotation and 500 bootstraps at once
	@$(GO) test -timeout 60m ./...

.PHONY: test-helm4
test-helm4: controlplane build ## Test the chart with Helm 4, which is a module of its own: applied on the server, from install to switches of modes
	@cd test/helm4 && $(GO) vet ./... && $(GO) test -timeout 10m ./...

.PHONY: test-gitops
test-gitops: controlplane build ## Test the chart with the controllers of Flux and Argo CD, a module of its own, and print what requests met
	@$(GO) run ./hack/controlplane flux argocd >/dev/null
	@# The rows of the manual's table, what failed, and the verdict of each package.
	@cd test/gitops && $(GO) vet ./... && $(GO) test -v -count=1 -timeout 15m ./... 2>&1 | awk ' \
		/^FAIL/ || /^panic: / { failed = 1 } \
		/^=== / || /^ *--- PASS/ || /^PASS$$/ || /no test files/ { next } \
		{ sub(/^ +[a-z_]+\.go:[0-9]+: \|/, "|"); print; fflush() } \
		END { exit failed }'

.PHONY: test-skew
test-skew: build ## Test on the oldest and on the newest API server that the chart takes (KUBERNETES=MINOR for one of them)
	@$(GO) run ./hack/skew $(KUBERNETES)

.PHONY: race
race: controlplane build ## Test the libraries and the program under the race detector (needs a C compiler; compiles everything anew once)
	@CGO_ENABLED=1 $(GO) test -race -timeout 15m ./pkg/... ./internal/... ./cmd/...

# What cover counts and what more than 90 % of is covered.
COVERED := ./pkg/...,./internal/offline,./internal/plan,./internal/verify

.PHONY: cover
cover: controlplane build ## Print how much of the libraries is covered by their tests and those of verify, which run the program
	@rm -rf bin/cover && mkdir bin/cover
	@$(GO) build -cover -coverpkg=./cmd/...,$(COVERED) $(CERTGEN) -o bin/ ./cmd/kthena-certgen
	@GOCOVERDIR=$(CURDIR)/bin/cover $(GO) test -short -count=1 ./test/verify
	@$(GO) test -short -count=1 -coverpkg=$(COVERED) ./pkg/... ./internal/... -args -test.gocoverdir=$(CURDIR)/bin/cover
	@$(GO) tool covdata percent -i=bin/cover
	@$(GO) tool covdata textfmt -i=bin/cover -o bin/cover/all && $(GO) tool cover -func=bin/cover/all | tail -1
	@$(MAKE) --no-print-directory build

# What mutate changes. All of it is done in a copy, with a go in front of Go's own that tells gremlins what it needs to know.
MUTATE := pkg/bootstrap pkg/certdir pkg/gen pkg/secret pkg/webhook internal/offline internal/verify

.PHONY: mutate
mutate: ## Change one operator of the program's packages at a time, list the changes that no test notices, fail below 85 % noticed (MUTATE=pkg/gen)
	@rm -rf bin/mutate && mkdir -p bin/mutate && tar -cf - --exclude ./bin --exclude ./dist --exclude ./.git . | tar -xf - -C bin/mutate
	@$(GO) run ./hack/controlplane servers controllers >/dev/null && mkdir bin/mutate/bin && ln -s $(CURDIR)/bin/controlplane bin/mutate/bin/controlplane
	@gremlins="$$($(GO) tool -modfile=hack/gremlins/go.mod -n gremlins)" || exit 1; \
	export GREMLINS_GO="$$(command -v $(GO))" GOFLAGS="$(GOFLAGS) -short -vet=off -count=1" PATH="$(CURDIR)/hack/gremlins/bin:$$PATH"; \
	for package in $(MUTATE); do \
		echo "$$package"; \
		"$$gremlins" unleash --config hack/gremlins/gremlins.yaml "$(CURDIR)/bin/mutate/$$package" || echo "Failed: $$package"; \
	done | tee bin/mutate/report
	@awk '/^Failed:/ { failed = 1 } /^Killed:/ { killed += $$2; all += $$2 + $$4 } \
		END { if (all) printf "%d of %d mutants killed: %.1f %%\n", killed, all, 100 * killed / all; exit failed || !all || killed < 0.85 * all }' bin/mutate/report

.PHONY: rotation
rotation: controlplane build ## Renew every certificate ten times under load, with both ways to reach webhooks and with servers that drain (about five minutes)
	@$(GO) test -v ./test/lifecycle -run 'Rotate|NotOne' -timeout 20m

IDLE ?= 2m

.PHONY: unattended
unattended: controlplane build ## Leave the controller alone while certificates age, change and get lost under load (IDLE=10m for a longer rest)
	@# Its verdict is that of go test: an ok that was not there before. What is not a result or the name of one is left out.
	@$(GO) test -v -count=1 ./test/controller -skip 'Killed|Trouble|Named' -timeout 45m -args -idle $(IDLE) 2>&1 | awk ' \
		/^ok / { met = 1 } \
		/^=== / || /^[IW][0-9]+ / || /^ +[a-z_]+_test\.go:[0-9]+: +[0-9]+ sent in / { next } \
		{ sub(/^ +[a-z_]+_test\.go:[0-9]+: /, "    "); print; fflush() } \
		END { exit !met }'

.PHONY: matrix
matrix: controlplane build ## Measure every switch between modes with 1 and 3 replicas (about five minutes)
	@$(GO) test -v ./test/chart -run 'Matrix|FailedSwitch|RenewedCertificate|LeftWithoutAGap'

.PHONY: bench
bench: controlplane build bench-tools $(if $(UPDATE),bin/plot) ## Measure the program against the floor, the chart's render and the libraries (PEERS=file: and other programs; UPDATE=1 commits the ratios and their picture)
	@bin/bench/bench -out bin/bench/report.json $(if $(PEERS),-peers '$(PEERS)') $(if $(UPDATE),-update)
	@$(if $(UPDATE),bin/plot ratios)
	@$(GO) test -run '^$$' -bench . -count 6 ./pkg/gen ./pkg/webhook

.PHONY: bench-check
bench-check: controlplane build bench-tools ## Fail when the program got worse, compared with the floor, than hack/bench/baseline.json says
	@bin/bench/bench -crowds 0 -check

.PHONY: bench-tools
bench-tools:
	@mkdir -p bin/bench
	@$(GO) run ./hack/build -ldflags '-s -w' -o bin/bench/ ./hack/bench ./hack/bench/floor ./hack/bench/spawn

.PHONY: fuzz
fuzz: ## Look for stored material that breaks the checks (30 seconds)
	@$(GO) test ./pkg/gen -run '^$$' -fuzz FuzzCheck -fuzztime 15s -fuzzminimizetime 1x
	@$(GO) test ./pkg/bootstrap -run '^$$' -fuzz FuzzStoredSecret -fuzztime 15s -fuzzminimizetime 1x

.PHONY: golden
golden: ## Write the golden files anew from what the code does now
	@$(GO) test ./charts -update

.PHONY: lint
lint: lint-chart ## Run golangci-lint, actionlint, yamlfmt and kube-score (builds them first: about five minutes once)
	@lint="$$($(TOOL) -n golangci-lint)" && for module in . $(MODULES); do (cd $$module && "$$lint" run ./...) || exit 1; done
	@$(GO) tool -modfile=hack/actionlint/go.mod actionlint

.PHONY: vet-systems
vet-systems: ## Vet what is shipped for Windows and macOS there, its unit tests too (compiles everything anew once)
	@# The other tests need a local cluster, which is for Linux and macOS.
	@GOOS=darwin $(GO) vet ./cmd/... ./internal/... ./pkg/...
	@GOOS=windows $(GO) vet ./cmd/... ./internal/command ./pkg/gen ./internal/offline ./internal/plan ./internal/verify

KUBE_SCORE := $(GO) tool -modfile=hack/chartlint/go.mod kube-score score --output-format ci --exit-one-on-warning --kubernetes-version v1.30

.PHONY: lint-chart
lint-chart: ## Run yamlfmt over the chart's values, and kube-score over what it renders with each file in its folder ci
	@$(GO) tool -modfile=hack/chartlint/go.mod yamlfmt -lint -conf hack/chartlint/yamlfmt.yaml
	@$(GO) run ./hack/render bin/rendered
	@# On OpenShift the namespace chooses the numbers of users and groups, which kube-score wants to see above 10000.
	@$(KUBE_SCORE) $$(grep -v '^#' hack/chartlint/kube-score.flags) $$(ls bin/rendered/*.yaml | grep -v openshift) >bin/rendered/kube-score \
		|| { grep -Ev '^\[(OK|SKIPPED)\]' bin/rendered/kube-score; exit 1; }

.PHONY: vulncheck
vulncheck: ## Look for known vulnerabilities in what is linked (needs their database, which is online)
	@for module in . $(MODULES); do $(TOOL) govulncheck -C $$module ./... || exit 1; done

.PHONY: docs
docs: ## Write the chart's README anew from the comments in its values, and docs/cli.md from the commands
	@$(TOOL) helm-docs --chart-search-root charts --sort-values-order=file --document-dependency-values
	@$(GO) run ./hack/docs

.PHONY: man
man: ## Write the man pages into bin/man
	@$(GO) run ./hack/docs -man bin/man

.PHONY: tidy
tidy: ## Tidy the Go modules
	@for file in $$(git ls-files go.mod '*/go.mod'); do (cd $$(dirname $$file) && $(GO) mod tidy) || exit 1; done

.PHONY: clean
clean: ## Remove what was built
	@rm -rf bin dist

##@ Ship

.PHONY: bin/image
bin/image:
	@$(GO) build -C hack/image -o ../../$@ .

IMAGE := bin/image -platforms '$(PLATFORMS)' -version '$(VERSION)' $(if $(RELEASE),-release)

.PHONY: image
image: bin/image ## Build the image of kthena-certgen into dist, without a container runtime (PLATFORMS=linux/arm64, RELEASE=1)
	@$(IMAGE) kthena-certgen

.PHONY: standin-images
standin-images: bin/image ## Build images of the stand-in under the names of Kthena's own, for e2e
	@$(IMAGE) kthena-controller-manager kthena-router

.PHONY: release-archives
release-archives: ## Build archives of kthena-certgen for Linux, macOS and Windows into dist, with completions, man pages and a manifest for krew
	@$(GO) run ./hack/archive -version '$(VERSION)'

.PHONY: package
package: ## Lint the chart and write its package and an index into dist
	@$(GO) run ./hack/package

.PHONY: e2e
e2e: ## Install the chart on the cluster of the current context, with the stand-in, in every mode (E2E='-certgen NAME:TAG ...')
	@$(GO) test -v -count=1 -timeout 60m -tags e2e ./test/e2e -args $(E2E)

.PHONY: e2e-verify
e2e-verify: build ## On the cluster of the current context, let verify name faults, and install what generate writes
	@$(GO) test -v -count=1 -timeout 60m ./test/verify -run 'Fault|Issue|Trouble|Clock' -args -connected
	@$(GO) test -v -count=1 -timeout 60m ./test/chart -run Offline -args -connected

KIND         ?= kind
KIND_CLUSTER ?= kthena-certgen
KIND_IMAGE   ?=

.PHONY: e2e-kind
e2e-kind: ## Create a kind cluster, load the images into it and run e2e there (needs Docker and kind)
	@command -v $(KIND) >/dev/null || { echo "make: error: $(KIND) is not installed: install kind, or run make e2e against a cluster that you have" >&2; exit 1; }
	@$(MAKE) --no-print-directory image standin-images PLATFORMS=linux/$(shell $(GO) env GOARCH)
	@$(KIND) create cluster --name $(KIND_CLUSTER) $(if $(KIND_IMAGE),--image $(KIND_IMAGE)) --wait 2m
	@for image in kthena-certgen kthena-controller-manager kthena-router; do \
		$(KIND) load image-archive --name $(KIND_CLUSTER) dist/$$image-linux-$(shell $(GO) env GOARCH).tar || exit 1; done
	@$(MAKE) --no-print-directory e2e
	@$(KIND) delete cluster --name $(KIND_CLUSTER)

##@ Help

.PHONY: help
help: ## Show this list
	@awk 'BEGIN { FS = ":.*## " } \
		/^##@ / { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z0-9-]+:.*## / { printf "  %-17s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
