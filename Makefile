# Two commands do it all: `make run` and `make test`. `make help` lists the rest.
# Needs Go, and for the race detector a C compiler; tools come from the Go module
# proxy, at the versions below, into .bin.

GOFUMPT       := mvdan.cc/gofumpt@v0.12.0
GOLANGCI_LINT := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
GOVULNCHECK   := golang.org/x/vuln/cmd/govulncheck@v1.9.0
GOTESTSUM     := gotest.tools/gotestsum@v1.13.0
BENCHSTAT     := golang.org/x/perf/cmd/benchstat@v0.0.0-20260908200009-22c9c6c9d4da

BIN      := $(CURDIR)/.bin
VERSION  := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
# A number of runs: when Go 1.26 stops fuzzing by the clock, it may call that a failure (golang/go#75804).
FUZZTIME ?= 500000x
COUNT    ?= 10
BENCH    ?= .
RACE     := $(if $(filter 1,$(shell go env CGO_ENABLED)),$(if $(shell command -v $$(go env CC)),-race))

.PHONY: run build demo cluster bundle soak test mutants check types node_modules screenshots fmt bench bench-peers fuzz clean help

run: build ## build and start a complete node with its dashboard
	./bin/remuda serve $(ARGS)

build: ## build bin/remuda, static
	CGO_ENABLED=0 go build -trimpath -ldflags '-s -w -X main.version=$(VERSION)' -o bin/remuda ./cmd/remuda

demo: build ## three nodes with synthetic traffic, an outage, and a node that dies and returns
	./bin/remuda demo $(ARGS)

cluster: build ## three nodes on this machine, for play: http://127.0.0.1:7400, 7410 and 7420; Ctrl-C ends them
	@trap 'trap "" INT TERM; kill -TERM 0; wait; exit 0' INT TERM; \
	./bin/remuda serve --node iad --region us-east-1 --cluster remuda & \
	./bin/remuda serve --node lhr --region eu-west-1 --http 127.0.0.1:7410 --gossip 127.0.0.1:7411 --join 127.0.0.1:7401 & \
	./bin/remuda serve --node bom --region ap-south --http 127.0.0.1:7420 --gossip 127.0.0.1:7421 --join 127.0.0.1:7401 & \
	wait

bundle: ## what is served of the dashboard's modules and style, after a change to them
	go generate ./ui

soak: ## a million simulated seconds of clusters with faults, an hour or two
	go test ./cluster -count=1 -run TestSimulation -timeout 6h -sim.seconds=1000000

mutants: ## a test of tests: breaks what stands in more than one place, a line at a time; all must be noticed
	go run ./.mutants $(ARGS)

# Tests that miss something skip, and fail in CI. The last lines of a run name them.
test: $(BIN)/gotestsum ## all tests, with the race detector, in a random order; what could not be tested is said at the end
	@$(MAKE) --no-print-directory node_modules || echo '*** npm ci failed ***' >&2
	@status=0; $(BIN)/gotestsum --format standard-quiet --raw-command -- $(TESTS) || status=$$?; \
	if [ -z '$(RACE)' ]; then \
	  echo '*** NO RACE DETECTOR: there is no C compiler ***'; test -z "$$CI" || status=1; \
	fi; exit $$status

# Simulations have one goroutine: the race detector would only make them slow. The
# browser tests are another module.
TESTS = sh -c 'go test -json $(RACE) -shuffle=on -timeout 20m ./...; status=$$?; \
	go test -json -count=1 -timeout 20m -run "^TestSimulation$$" ./cluster || status=$$?; \
	cd ui/browser && go test -json -count=1 -timeout 8m -skip "^TestScreenshots$$" ./... && exit $$status'

check: $(BIN)/gofumpt $(BIN)/golangci-lint $(BIN)/govulncheck ## format, vet, lint, vulnerabilities, tidiness
	@test -z "$$($(BIN)/gofumpt -l .)" || { $(BIN)/gofumpt -d .; exit 1; }
	go vet ./...
	$(BIN)/golangci-lint run ./...
	go mod tidy -diff
	cd ui/browser && go mod tidy -diff
	cd ui/bundle && go mod tidy -diff
	cd cmd/remuda/internal/peers && go mod tidy -diff && go vet .
	@$(MAKE) --no-print-directory types
	@out=$$($(BIN)/govulncheck ./... 2>&1); status=$$?; echo "$$out" | tail -n 5; case "$$out" in \
	  *'fetching vulnerabilities'*) echo '*** vulnerabilities NOT checked: their database cannot be reached ***' ;; \
	  *) exit $$status ;; esac

types: node_modules ui/types/openapi.d.ts ## check the types of the dashboard; needs node and npm
	@if command -v npm >/dev/null; then cd ui && node_modules/.bin/tsc -p .; else \
	  echo '*** types of the dashboard NOT checked: there is no npm ***'; test -z "$$CI"; \
	fi

# What the API says, as types, by the tool that also makes the client of a test.
CLIENT := cmd/remuda/testdata/clients/ts
ui/types/openapi.d.ts: httpapi/openapi.json $(CLIENT)/package-lock.json
	@if command -v npm >/dev/null; then cd $(CLIENT) && \
	  { [ node_modules/.package-lock.json -nt package-lock.json ] || npm ci --silent; } && \
	  npx --no-install openapi-typescript $(CURDIR)/httpapi/openapi.json -o $(CURDIR)/$@ >/dev/null; fi

node_modules: # of the dashboard's checks, if there is an npm
	@cd ui && if command -v npm >/dev/null && ! [ node_modules/.package-lock.json -nt package-lock.json ]; then npm ci --silent; fi

screenshots: ## the pictures of README and docs, from the browser test
	mkdir -p docs/pictures
	cd ui/browser && SCREENSHOTS=$(CURDIR)/docs/pictures SCREENS=overview,provider SCREENSHOTS_AFTER=140 go test -count=1 -timeout 8m -run TestScreenshots .

fmt: $(BIN)/gofumpt ## format the code
	$(BIN)/gofumpt -w .

bench: $(BIN)/benchstat ## benchmarks, COUNT times each, with medians; BENCH selects
	go test -run '^$$' -bench '$(BENCH)' -count $(COUNT) ./... | tee bench.txt
	$(BIN)/benchstat bench.txt

bench-peers: build ## side by side with client_golang, xsync, Redis and nchan, in one run; ARGS are its flags
	cd cmd/remuda/internal/peers && go run . $(ARGS)

fuzz: ## every fuzz target for FUZZTIME
	@for package in $$(go list ./...); do \
	  for target in $$(go test -list '^Fuzz' $$package | grep '^Fuzz'); do \
	    echo "== $$package $$target"; \
	    go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$package || exit 1; \
	  done; \
	done

clean: ## remove what was built
	rm -rf bin .bin bench.txt

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# A tool is installed once for each version.
define tool
$(BIN)/$(1):
	GOBIN=$(BIN) go install $(2)
endef
$(eval $(call tool,gofumpt,$(GOFUMPT)))
$(eval $(call tool,golangci-lint,$(GOLANGCI_LINT)))
$(eval $(call tool,govulncheck,$(GOVULNCHECK)))
$(eval $(call tool,gotestsum,$(GOTESTSUM)))
$(eval $(call tool,benchstat,$(BENCHSTAT)))
