# make demo needs Go and nothing else; make test installs what it needs.
SHELL       := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help demo quick test race full conformance report mutants fuzz lint golden bench tools optional clean

TOOLS   := $(CURDIR)/.tools
DEMO    ?= demo
FUZZ    ?= 5s
export PATH := $(TOOLS)/bin:$(PATH)

help: ## what there is
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

demo: ## a company rotates a secret on GitHub and AWS inside the process, from request to closed ticket; output in ./demo
	go run ./cmd/rekey demo --out $(DEMO)

quick: ## the tests that need nothing but Go, under two minutes
	go test ./...

test: ## everything: lint, demo, all tests with the race detector and real components, every case of the long suites
	.ci/install
	.ci/openapi
	$(MAKE) --no-print-directory lint
	out=$$(mktemp -d); trap 'rm -rf "$$out"' EXIT; $(MAKE) --no-print-directory demo DEMO="$$out/demo"
	report=$$(mktemp); trap 'rm -f "$$report"' EXIT; export REKEY_REPORT="$$report"; \
	  $(MAKE) --no-print-directory race && $(MAKE) --no-print-directory full && $(TABLE) "$$report"
	@$(MAKE) --no-print-directory optional

race: tools
	go test -race -shuffle=on -count=1 -timeout=40m ./...

# The suites that by themselves try a selection, with every case; they say how many that were. Kinds besides
# secretsmanager, whose suites take longest, have theirs in conformance.
FULL := ./internal/kind/kindtest ./internal/e2e ./internal/demo/town/histories
full: tools
	@echo "go test: every case of the long suites"
	@log=$$(mktemp); trap 'rm -f "$$log"' EXIT; \
	  if REKEY_FULL=1 go test -v -shuffle=on -count=1 -timeout=60m $(FULL) >"$$log" 2>&1; \
	  then grep -E '^ok|[0-9] (cases|histories|secrets|canaries)|caught by' "$$log"; else cat "$$log"; exit 1; fi

# The suites leave what they counted in the file that REKEY_REPORT names.
TABLE := go run ./internal/kind/kindtest/ledger/table
conformance: tools ## every case of every kind's conformance suite, and the rollback report; an hour or so
	@report=$$(mktemp); trap 'rm -f "$$report"' EXIT; export REKEY_REPORT="$$report" REKEY_FULL=1; bad=0; \
	  go test -v -count=1 -timeout=3h ./internal/kind/... | grep -E '^(ok|FAIL|---)|[0-9] cases|histories' || bad=1; \
	  $(TABLE) "$$report"; exit $$bad

report: ## the rollback report of the selection into README.md, a minute or so; of every case with REKEY_FULL=1
	@report=$$(mktemp); trap 'rm -f "$$report"' EXIT; export REKEY_REPORT="$$report"; \
	  go test -p 1 -count=1 -timeout=3h -run '^(TestConformance|TestSecretsManager)' ./internal/kind/... && $(TABLE) -into README.md "$$report"

mutants: ## mistakes put into copies of the program, which the histories must notice; an hour or so
	REKEY_MUTANTS=1 go test -v -count=1 -timeout=3h -run TestMutants ./internal/demo/town/histories

fuzz: ## every fuzz target for FUZZ=5s; what it finds becomes a seed that every test run tries
	.ci/fuzz $(FUZZ)

lint: tools ## gofmt, go vet, staticcheck, actionlint
	@bad=$$(git ls-files -co --exclude-standard '*.go' | while read -r f; do [ ! -f "$$f" ] || gofmt -l "$$f"; done); \
	  [ -z "$$bad" ] || { echo "error: not formatted:"; echo "$$bad"; echo "hint: gofmt -w ."; exit 1; }
	go vet ./...
	staticcheck ./...
	actionlint

golden: ## write the expected output of every text test anew; read the diff before committing
	go test $$(grep -rlE --include='*_test.go' '"update"|goldentest' . | xargs -r -n1 dirname | sort -u) -update

bench: ## against the AWS CLI and boto3, as a Markdown table
	go run ./bench

# Pinned in tools/go.mod, away from the product's; built again only when that changes.
tools: $(TOOLS)/built
$(TOOLS)/built: tools/go.mod tools/go.sum
	mkdir -p $(TOOLS)/bin
	cd tools && go build -trimpath -o $(TOOLS)/bin/ tool
	touch $@

# The last line of make test.
optional:
	@absent=; for c in moto_server terraform; do command -v $$c >/dev/null || absent="$$absent $$c"; done; \
	  if [ -n "$$absent" ]; then echo "optional components absent, their tests did not run:$$absent"; \
	  else echo "optional components: all present"; fi

clean:
	rm -rf $(TOOLS) demo
