# The series workflow and the checks.

.PHONY: packages
packages: ## packages: install the Debian packages that are missing
	@ci/install-packages

.PHONY: tree
tree: packages ## tree: unpack BASE and UTILS_BASE (default: both) to build/BASE/tree and apply the series
	@for b in $(or $(CHOSEN),$(BASE) $(UTILS_BASE)); do ci/whole ci/series tree $$b || exit 1; done

.PHONY: patches
patches: ## patches: write the commits of the trees (BASE=, UTILS_BASE=: of that one) back to patches/
	@for b in $(or $(CHOSEN),$(foreach b,$(BASES),$(if $(wildcard $(BUILD)/$(b)/tree),$(b)))); do \
		ci/whole ci/series patches $$b || exit 1; \
	done

# What takes seconds comes first, and what takes minutes last.  The last ones, on the debug
# kernel and patch by patch, take what time there is, see CHECK_SECONDS.
ALL_TESTS := $(sort $(wildcard ci/t/*.t erofs-utils/tests/*.t))
FIRST_TESTS := $(filter $(ALL_TESTS),$(patsubst %,ci/t/%.t,arguments figures pictures proofs series-tool series))
LAST_TESTS := $(filter $(ALL_TESTS),$(patsubst %,ci/t/%.t,guest-fast guest-debug) \
	erofs-utils/tests/series.t ci/t/series-build.t)
TESTS ?= $(FIRST_TESTS) $(filter-out $(FIRST_TESTS) $(LAST_TESTS),$(ALL_TESTS)) $(LAST_TESTS)
# All of it within an hour, from an empty machine: no test begins after so many seconds.  After
# three quarters of that no guest starts on the debug kernel, and no patch is built by itself; the last
# state of the series takes 8 minutes, and so begins before, or not at all.  A machine that has not got
# to the debug kernel in an eighth has had to compile the fast one.  It does without the other: that
# would take a third of the hour, and no guest would be left time to run on either.
CHECK_SECONDS ?= 3200
CHECK_START := $(shell date +%s)

.PHONY: check arguments-check
arguments-check:
	$(call check_number,CHECK_SECONDS)
check: packages utils host-tools guest kernel ## check: run all tests of BASE and UTILS_BASE, host and guest
	@if [ $$(date +%s) -lt $$(($(CHECK_START) + $(CHECK_SECONDS) / 8)) ]; then \
		$(MAKE) --no-print-directory kernel FLAVOUR=debug; \
	else \
		echo "check: no time left to build the debug kernel; CHECK_SECONDS=N gives it more"; \
	fi
	@$(MAKE) --no-print-directory kselftests
	@ONLY_BASES='$(BASE) $(UTILS_BASE)' SERIES_SECONDS=200 CHECK_END=$$(($(CHECK_START) + $(CHECK_SECONDS))) \
		CHECK_UNTIL=$$(($(CHECK_START) + $(CHECK_SECONDS) * 3 / 4)) ci/check -j $$(nproc) -k $(BUILD)/check/proved $(TESTS)

.PHONY: check-quick
check-quick: packages utils guest kernel ## check-quick: the series of BASE, and all guest tests on its fast kernel
	@$(MAKE) --no-print-directory kselftests
	@ONLY_BASES='$(BASE)' ci/check ci/t/series.t ci/t/guest-fast.t

.PHONY: check-series
check-series: packages ## check-series: round trip, applies, each patch builds, checkpatch, sparse (BASE=: one base)
	@ONLY_BASES='$(CHOSEN)' ci/check ci/t/series*.t

PORTS ?= all
PORT_NAMES := all $(basename $(notdir $(wildcard kernel/ports/arch/*.config)))

.PHONY: check-ports arguments-check-ports
arguments-check-ports:
	$(foreach p,$(PORTS),$(if $(filter $(p),$(PORT_NAMES)),,$(error PORTS=$(p) is not one of: $(PORT_NAMES))))
check-ports: packages ## check-ports: compile and link the series for other architectures (PORTS="NAME...", BASE=: one base)
	@ONLY_BASES='$(filter $(call bases_of,kernel),$(CHOSEN))' PORTS='$(PORTS)' ci/whole ci/check -v ci/t/ports.t

.PHONY: prove-fixes arguments-prove-fixes
arguments-prove-fixes:
	@echo | grep -qE -- '$(ONLY)'; [ $$? -lt 2 ]
	@cat ci/fixes.txt <(ls ci/mutants) | grep -qE -- '$(ONLY)' || \
		{ echo "ONLY=$(ONLY) matches no fix of ci/fixes.txt and no file in ci/mutants" >&2; exit 1; }
prove-fixes: packages utils guest ## prove-fixes: bring each fault back, and see its test fail; slow (ONLY=regex, BASE=: one base)
	@ONLY='$(ONLY)' ONLY_BASES='$(filter $(call bases_of,kernel),$(CHOSEN))' ci/whole ci/check -v ci/prove-fixes

.PHONY: figures arguments-figures
arguments-figures:
	$(if $(IMAGE)$(ROOTFS)$(ROWS),$(error figures are those of the golden image and of all rows; do without IMAGE=, ROOTFS= and ROWS=))
figures: packages ## figures: run demo, bench and bench-utils, write figures.json and what documents show of it (an hour)
	@mkdir -p $(BASE_BUILD)/figures $(UTILS_BUILD)/figures
	@rm -f $(BASE_BUILD)/bench/bench.json
	@set -o pipefail; $(MAKE) --no-print-directory -s demo | tee $(BASE_BUILD)/figures/demo
	@# A limit that does not hold is a figure, too; without its results the next step fails.
	-@$(MAKE) --no-print-directory -s bench
	@set -o pipefail; $(MAKE) --no-print-directory -s bench-utils | tee $(UTILS_BUILD)/figures/bench-utils
	@ci/figures collect $(BASE) $(UTILS_BASE)
	@ci/figures fill

.PHONY: figures-packages
figures-packages: packages ## figures-packages: the same of test-stock, demo-vm, pairs and many (an hour)
	@mkdir -p $(BASE_BUILD)/figures
	@$(MAKE) --no-print-directory -s test-stock
	@set -o pipefail; $(MAKE) --no-print-directory -s demo-vm | tee $(BASE_BUILD)/figures/demo-vm
	@$(MAKE) --no-print-directory -s pairs
	@$(MAKE) --no-print-directory -s many
	@ci/figures collect-packages $(BASE)
	@ci/figures fill

.PHONY: faults
faults: ## faults: list the faults that were found, and what shows that each is gone
	@ci/faults

# The two kernel bases are to share page cache by the same text, where the kernel's interfaces allow.
SAME_FILES := $(addprefix fs/erofs/,ishare.h ishare.c rawread.c)
.PHONY: diff-bases
diff-bases: packages ## diff-bases: show what differs between the kernel bases in the files of page cache sharing
	@for b in $(call bases_of,kernel); do ci/whole ci/series tree $$b || exit 1; done
	@cd $(BUILD) && for f in $(SAME_FILES); do \
		diff -u $(addsuffix /tree/$$f,$(call bases_of,kernel)) || [ $$? = 1 ] || exit 1; \
	done
	@cd $(BUILD) && for f in $(SAME_FILES); do \
		git --no-pager diff --no-index --shortstat $(addsuffix /tree/$$f,$(call bases_of,kernel)) | sed "s|^.*changed|$$f|"; \
	done
