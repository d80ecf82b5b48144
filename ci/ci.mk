# The series workflow and the checks.

.PHONY: packages
packages: ## packages: install the Debian packages that are missing
	@ci/install-packages

.PHONY: tree
tree: packages ## tree: unpack each base under build/ and apply its series
	@for b in $(BASES); do ci/series tree $$b || exit 1; done

.PHONY: patches
patches: ## patches: write the commits in build/ back to patches/
	@for b in $(BASES); do ci/series patches $$b || exit 1; done
