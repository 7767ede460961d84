# `make run` and `make test` are all that a fresh Debian or Ubuntu machine needs; each says what it installs.

CARGO ?= cargo
SCALE ?= full
BINARY := target/release/regatta
WEB := web/dist/index.html

.PHONY: run test test-clients test-cluster bench fmt lint build generate setup-run setup-test setup-cluster clean

run: setup-run build              ## build and start: prints the URL, the kubeconfig and the next command
	@exec $(BINARY) up

build: $(WEB)                     ## the web app and the release binary
	$(CARGO) build --release --locked

$(WEB): $(shell find web -maxdepth 1 -type f) $(shell find web/src web/public web/scripts -type f)
	cd web && npm ci --no-audit --no-fund --loglevel=error && npm run --silent build
	@touch $@

test: setup-test $(WEB)           ## the whole suite; needs no cluster and no agent CLIs
	$(CARGO) test --locked
	cd web && npm test
	cd web && npm run --silent e2e

test-clients: setup-test $(WEB)   ## programs of the Python and JavaScript client libraries against a server of their own
	$(CARGO) build --locked
	REGATTA=$${CARGO_TARGET_DIR:-target}/debug/regatta tests/clients/run

test-cluster: setup-cluster target/kube/kubectl  ## the API beside a real kube-apiserver: every difference is printed
	$(CARGO) test --locked --test cluster -- --nocapture

# A real control plane and a current kubectl: one program, built again only when its sources change.
KUBE_VERSION := v1.36.3
target/kube/kube: $(wildcard tests/kube/*.go) tests/kube/go.mod tests/kube/go.sum
	@echo "building Kubernetes $(KUBE_VERSION) for the comparison: about five minutes on two cores, once" >&2
	cd tests/kube && go build -trimpath -o ../../$@ \
		-ldflags '-s -w -X k8s.io/component-base/version.gitVersion=$(KUBE_VERSION)' .

target/kube/kubectl: target/kube/kube
	@ln -sf kube $@

bench: setup-run $(WEB)           ## the tables of docs/measurements.md; SCALE=small for a quick look
	SCALE=$(SCALE) $(CARGO) bench --locked --bench all

fmt:                              ## format everything
	$(CARGO) fmt
	cd web && npm run --silent fmt

lint: setup-test $(WEB)           ## formatting, lints as errors, types
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets -- -D warnings
	cd web && npm run --silent lint && npm run --silent check

generate:                         ## CRDs, CLI help and TypeScript types from the Rust types
	UPDATE=1 $(CARGO) test --test all generated
	cd web && npm run --silent types

setup-run:
	@deploy/setup run

setup-test:
	@deploy/setup test

setup-cluster:
	@deploy/setup cluster

clean:
	$(CARGO) clean
	rm -rf web/dist web/node_modules
