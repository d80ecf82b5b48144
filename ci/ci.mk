# The series workflow and the checks.

.PHONY: packages
packages: ## packages: install the Debian packages that are missing
	@ci/install-packages

.PHONY: tree
tree: packages ## tree: unpack each base under build/ and apply its series
	@for b in $(BASES); do ci/whole ci/series tree $$b || exit 1; done

.PHONY: patches
patches: ## patches: write the commits in build/ back to patches/
	@for b in $(BASES); do ci/whole ci/series patches $$b || exit 1; done

# The order is the order of cost: what fails quickly comes first.
TESTS ?= $(sort $(wildcard ci/t/*.t))

.PHONY: check
check: packages utils host-tools guest kernel ## check: run all tests, host and guest
	@$(MAKE) --no-print-directory kernel FLAVOUR=debug
	@$(MAKE) --no-print-directory kselftests
	@SERIES_SECONDS=200 ci/check $(TESTS)

.PHONY: check-series
check-series: packages ## check-series: round trip, applies, each patch builds, checkpatch, sparse
	@ci/check ci/t/series.t

.PHONY: prove-fixes
prove-fixes: packages utils guest ## prove-fixes: build the kernel without each fix, and see its test fail (slow)
	@ci/check -v ci/prove-fixes
