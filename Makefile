# weir: build, check and try it. `make` alone lists what there is.
#
# Needed: Go, git, make and a C compiler (for the race detector). What else a
# target needs it fetches itself, or says which packages to install.

SHELL       := bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

GO    ?= go
TOOLS := $(GO) tool -modfile=.ci/tools/go.mod

# Where git can't say which commit this is (no commit yet, an archive instead
# of a clone, a checkout of another user's), build without that stamp rather
# than not at all.
ifeq ($(shell git rev-parse --quiet --verify HEAD 2>/dev/null),)
export GOFLAGS := $(strip $(GOFLAGS) -buildvcs=false)
endif

# The packages whose goroutines share memory: these run under the race
# detector. loadtest, bench and cmd drive a real server in a process of its
# own, where the detector would see nothing and slow the judge down.
RACED := ./core/... ./persist/... ./server/...

# make test gives a package this long, make crash the whole campaign.
TEST_TIMEOUT  ?= 8m
CRASH_TIMEOUT ?= 4h

WEIR_CRASH_ROUNDS ?= 2000
WEIR_CRASH_POINTS ?= 20000
FUZZTIME          ?= 30s
BENCH             ?=
OVERLOAD          ?=
DEMO              ?=
SURGE             ?=
FAIRNESS          ?=

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: run
run: build ## Build and start the demonstration: a campaign that opens in a minute (DEMO="--open-in 10s")
	@exec bin/weir demo $(DEMO) </dev/null

.PHONY: build
build: ## Build bin/weir, the server and the operator's tools
	@for command in cmd/*/; do
		$(GO) build -trimpath -o bin/ "./$$command"
	done

.PHONY: test
# Two passes, because neither sees everything. The first is the whole suite as
# it is built for use: the guards that count allocations and the tests that
# kill, starve and damage a real server mean something only there. The second
# looks for data races, where the suite runs several times slower and
# allocates more. -count=1 since both also test the disk and the kernel.
test: test-needs ## Run every test, then the concurrent packages again under the race detector
	@$(GO) test -count=1 -timeout $(TEST_TIMEOUT) ./... </dev/null
	$(GO) test -count=1 -timeout $(TEST_TIMEOUT) -race $(RACED) </dev/null

.PHONY: test-needs
test-needs:
	@.ci/need strace curl redis-server postgres:postgresql

.PHONY: lint
lint: ## Check format, style and the arrows between the packages
	@unformatted=$$($(TOOLS) gofumpt -l .)
	if [[ -n $$unformatted ]]; then
		printf 'not formatted (make fmt mends it):\n%s\n' "$$unformatted" >&2
		exit 1
	fi
	$(TOOLS) golangci-lint run ./...

.PHONY: fmt
fmt: ## Format all Go files
	@$(TOOLS) gofumpt -w .

.PHONY: bench
bench: ## Measure every layer (BENCH="-quick"); figures go to out/bench.json
	@mkdir -p out
	$(GO) run ./bench $(BENCH) </dev/null

.PHONY: bench-peers
bench-peers: bench-peers-needs ## Measure the same bookings at weir, Redis and PostgreSQL (BENCH="-rounds 9"); figures go to out/bench-peers.json
	@mkdir -p out
	$(GO) run ./bench -sections peers -duration 4s -requests 400000 -out out/bench-peers.json $(BENCH) </dev/null

.PHONY: bench-peers-needs
bench-peers-needs:
	@.ci/need redis-server postgres:postgresql

.PHONY: bench-loader
bench-loader: ## Measure the load generator beside wrk at the same bare server; prints the ratio of requests a second
	@.ci/need wrk
	$(GO) test ./loadtest/openloop -run '^$$' -bench BesideWrk -benchtime 300000x -count 3 </dev/null

.PHONY: overload
# A control group with a CPU quota takes root.
overload: ## Offer bookings at up to 20 times the capacity (root; OVERLOAD="-step 5s"); table, figures and pictures go to out/
	@mkdir -p out
	$(GO) run ./loadtest/overload/main $(OVERLOAD) </dev/null

.PHONY: bench-recovery
bench-recovery: ## Measure a start from snapshots beside Redis, and bookings while snapshots are taken
	@.ci/need redis-server
	mkdir -p out
	$(GO) run ./bench -sections snapshots,recovery -out out/bench-recovery.json $(BENCH) </dev/null

.PHONY: crash
crash: test-needs ## Kill a loaded server WEIR_CRASH_ROUNDS times and judge what it kept (about an hour)
	@WEIR_CRASH_ROUNDS=$(WEIR_CRASH_ROUNDS) $(GO) test -count=1 -timeout $(CRASH_TIMEOUT) -v ./loadtest/crash </dev/null
	WEIR_CRASH_POINTS=$(WEIR_CRASH_POINTS) $(GO) test -count=1 -timeout $(CRASH_TIMEOUT) -v -run Crashes ./persist/snapshot ./persist/recovery </dev/null

.PHONY: flood
flood: ## Hold 20,000 descriptors of a server idle, slow and half open while people book (about three minutes)
	@WEIR_FLOOD_WHOLE=1 $(GO) test -count=1 -timeout 15m -v -run 'Flood$$' ./loadtest/flood </dev/null

.PHONY: surge
surge: build ## Ten million requests from start to judged report (SURGE="--kill-every 2m")
	@mkdir -p out
	bin/weirload run --scenario opening-2021-07-19 --out out/surge.json --html out/surge.html --svg out/surge.svg --hlog out/surge.hlog $(SURGE) </dev/null

.PHONY: fairness
fairness: build ## A line of 200,000 people with draw, kills and pauses, every turn of it judged (FAIRNESS="--seed 7")
	@bin/weirload run --scenario fairness $(FAIRNESS) </dev/null

.PHONY: fuzz
fuzz: ## Fuzz every decoder, each for FUZZTIME (30s)
	@.ci/fuzz $(FUZZTIME)

.PHONY: generate
generate: ## Write the generated files again
	@$(GO) generate ./...

.PHONY: check-generated
check-generated: ## Fail where a generated file is not what its generator writes
	@tree() { git diff --binary | git hash-object --stdin; git status --porcelain; }
	before=$$(tree)
	$(GO) generate ./...
	if [[ $$(tree) != "$$before" ]]; then
		git --no-pager diff --stat >&2
		echo 'generated files were out of date; they are right now' >&2
		exit 1
	fi

.PHONY: clean
clean: ## Remove what was built and measured
	@rm -rf bin out
