# Everything here needs Go, git and make, and nothing else. What is built once (Kubernetes, krew) goes into the user's
# cache directory, keyed by content; nothing outside the checkout and that cache is written.

GO ?= go
FUZZTIME ?= 20s
MODELRUNS ?= 100000
PLATFORMS ?= all
# The models make much garbage. With the default of 100, collecting it takes a third of their CPU.
TESTGC ?= 400
# Without vet, which make lint runs over everything.
TEST = $(GO) test -vet=off -count=1
REGISTRY ?= ghcr.io/xcpauth

export CGO_ENABLED = 0
export GOWORK = off

# What starts clusters, needs krew, or measures; and of that the packages that have the machine to themselves: a cluster
# is three processes, and their tests have up to a dozen clusters, or measure what a busy machine would hide. The others
# wait more than they work, two at a time.
CLUSTERS = /test/(chart|testbed|xcpsim|kumasim/fleet|sandbox|e2e|release|bench)(/|$$)
ALONE = /test/(e2e(/webhook|/mesh)?|bench)$$
ACTIONLINT = github.com/rhysd/actionlint/cmd/actionlint@v1.7.12
GOLANGCI_LINT = github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0

.DEFAULT_GOAL := help
.PHONY: help build test test-fast test-kuma lint fuzz bench generate docs docs-images demo sandbox demo-mesh sandbox-mesh release-snapshot k8s clean

help: ## show this
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-18s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

build: ## build bin/kubectl-xcpauth and bin/xcpauth-webhook
	$(GO) build -trimpath -ldflags "$$($(GO) run ./krew/release -print ldflags)" -o bin/ ./plugin/kubectl-xcpauth ./webhook/xcpauth-webhook

test: ## everything that must pass
	@echo 'Running everything that must pass: Kubernetes built from its modules (the first time about 6 minutes on two cores), the'
	@echo 'linters (1 to 3 minutes, the first time 6), tests without clusters (2 to 4 minutes), tests on real clusters (30 to 45 minutes).'
	@$(MAKE) --no-print-directory k8s
	@$(MAKE) --no-print-directory lint
	@$(MAKE) --no-print-directory test-fast
	@echo 'Testing on real clusters, and with the real krew ...'
	@pkgs=$$($(GO) list ./...) && clusters=$$(echo "$$pkgs" | grep -E '$(CLUSTERS)' | grep -v /test/release) && \
		$(TEST) -p 1 -parallel 3 -timeout 40m $$(echo "$$clusters" | grep -E '$(ALONE)') && \
		$(TEST) -p 2 -parallel 3 -timeout 10m $$(echo "$$clusters" | grep -Ev '$(ALONE)')
	@$(TEST) -v -timeout 10m ./test/release

test-fast: k8s ## tests that start no cluster and measure nothing (2 to 4 minutes once Kubernetes is built: one renders with the real kubectl)
	@echo 'Testing what needs no cluster ...'
	@pkgs=$$($(GO) list ./...) && GOGC=$(TESTGC) $(TEST) -p 3 -timeout 10m $$(echo "$$pkgs" | grep -Ev '$(CLUSTERS)')

test-kuma: ## run the mesh tests with the product: KUMA_CP=/path/to/kuma-cp KUMACTL=/path/to/kumactl, and POSTGRES=/path/to/its/bin (20 minutes)
	@if [ -z "$$KUMA_CP" ] || [ -z "$$KUMACTL" ]; then \
		echo 'Skipped: set KUMA_CP and KUMACTL to the paths of kuma-cp and kumactl; see test/e2e/mesh/doc.go.'; \
	else \
		$(MAKE) --no-print-directory k8s && $(TEST) -p 1 -v -timeout 2h ./test/e2e/universal ./test/e2e/mesh; \
	fi

lint: ## gofmt, import and source rules, golangci-lint with go vet (see .golangci.yml), actionlint, go.mod in order
	@echo 'Linting: format ...'
	@bad=$$("$$($(GO) env GOROOT)/bin/gofmt" -l .) && { test -z "$$bad" || { echo "not as gofmt wants it:"; echo "$$bad"; exit 1; }; }
	@echo 'Linting: who imports whom, what sources may not say ...'
	@$(TEST) ./test/lint/...
	@echo 'Linting: the modules of tests ...'
	@cd test/k8s && $(GO) vet .
	@cd test/promql && $(GO) vet .
	@echo 'Linting: golangci-lint, with vet ...'
	@$(GO) run $(GOLANGCI_LINT) run
	@echo 'Linting: workflows ...'
	@$(GO) run $(ACTIONLINT) -shellcheck= -pyflakes=
	@echo 'Linting: modules ...'
	@$(GO) mod verify
	@$(GO) mod tidy -diff

fuzz: ## run each fuzz target for FUZZTIME (20s), the models of both products through MODELRUNS (100000) random fleets and meshes each, and CEL and Go over as many pairs
	@grep -rn --include='*_test.go' -o '^func Fuzz[A-Za-z0-9_]*' pkg plugin webhook krew test | while IFS=: read -r file _ func; do \
		echo "$$file: $${func#func } for $(FUZZTIME)"; \
		$(GO) test -run '^$$' -fuzz "^$${func#func }\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 1x "./$$(dirname "$$file")" </dev/null || exit 1; \
	done
	$(GO) test -count=1 -v -timeout 2h -run 'TestCELAndGoJudgeAnyOverlayAlike|TestNoEditThatWithdraws|TestWhateverTheFenceLetsPass' ./manifests -rapid.checks $(MODELRUNS)
	$(GO) test -count=1 -v -timeout 2h -run 'TestThePromiseHoldsWhoeverInterrupts|TestNoZoneIsEverRefusedWhoeverInterrupts' ./pkg/engine -model.runs $(MODELRUNS)

bench: k8s ## print benchmarks, commands over 10 to 5000 clusters beside kubectl in a shell and bare HTTP, the webhook's memory, the plugin's size and start (11 minutes, alone on the machine)
	@pkgs=$$($(GO) list -f '{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}}{{end}}' ./pkg/... ./plugin/... ./webhook/...) && \
		$(GO) test -run '^$$' -bench . -benchmem $$pkgs
	@$(GO) test -count=1 -v -run OfAThousand -bench . -benchtime 1x -timeout 30m ./test/bench
	@$(GO) test -count=1 -v -run 'TestTheShippedWebhook/many_roster' ./test/e2e/webhook -many 5000
	@$(GO) test -count=1 -v -run 'TestBinarySize|TestStartUp' ./test/release

generate: ## write the roster's CRD and deep copies from pkg/api, the CEL of the fence and of the webhook's conditions, and what docs writes
	$(GO) generate ./pkg/...
	$(GO) run ./manifests/predicate
	$(GO) run ./manifests/chart
	@$(MAKE) --no-print-directory docs

docs: ## write the pages of docs that are made from the programs: checks.md, reference and schema (test-fast fails when they differ)
	$(GO) test -count=1 ./pkg/check ./plugin/kubectl-xcpauth ./test/schema ./test/docs -run InDocs -update

docs-images: k8s ## write docs/img/*.svg: what commands print on a terminal of the sandbox, and the dashboard of that
	@$(GO) run ./test/demo -images

demo: k8s ## start a hub and two edges, show status, a denied edit and a migration, stop everything
	@$(GO) run ./test/demo

sandbox: k8s ## start the same fleet and open a shell in it
	@$(GO) run ./test/demo -shell

demo-mesh: k8s ## start a global control plane and two zones of Kong Mesh, give each zone a token, rotate the key, stop everything
	@$(GO) run ./test/demo -mesh

sandbox-mesh: k8s ## start the same mesh and open a shell in it
	@$(GO) run ./test/demo -mesh -shell

release-snapshot: ## build all that a release has into dist: archives, images, install.yaml, the krew manifest, notices, SBOMs, checksums (the first time about 5 minutes)
	@$(GO) run ./krew/release -images -platforms $(PLATFORMS) -registry $(REGISTRY)

k8s: ## build real Kubernetes for the tests, once (about 6 minutes on two cores)
	@cd test/k8s && $(GO) run . >/dev/null

clean: ## remove bin and dist; what was built once stays in the cache
	rm -rf bin dist
