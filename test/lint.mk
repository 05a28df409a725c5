# Static checks: part of the Makefile. What a check has passed is not looked at again until it changes.
C_FILES   := $(wildcard fcgi/*.c test/unit/*.c test/fuzz/*.c)
SCRIPTS    = docker/collect docker/version $(wildcard docker/local/* docker/pod/*) sql/generate .ci/run $(wildcard test/lint/*)
LINT      := $(BUILD)/lint
TIDY      := $(C_FILES:%.c=$(LINT)/%.tidy)
ANALYSED   = -std=c17 -D_GNU_SOURCE -DVERSION='""' -I$(BUILD) -Ifcgi -I$(shell pg_config --includedir)
CHANGED    = $(shell test/lint/changed)
CHANGED_C  = $(filter $(C_FILES),$(CHANGED))
# The compiler that does not build the programs.
OTHER_CC   = $(if $(findstring clang,$(CC)),gcc,clang)
# What `make check` runs: the unit tests, and one service of the plain build that answers every report.
QUICK      = test_units and not valgrind and not fuzz or test_reports and (example or golden or timestamps)

.PHONY: lint
lint: ## layout, static analysis, both compilers, Python, shell, YAML, nginx.conf, and all SQL on an empty database
	@docker/local/setup build www run test lint
	clang-format --dry-run -Werror $(C_FILES) $(wildcard fcgi/*.h test/unit/*.h)
	test/lint/libraries
	cppcheck --quiet --error-exitcode=1 -j$(shell nproc) $(CPPCHECK) fcgi test/unit test/fuzz
	@$(MAKE) --no-print-directory --quiet -j$(shell nproc) programs tidy other-compiler
	shellcheck $(SCRIPTS)
	yamllint --strict .
	flake8 test
	@$(MAKE) --no-print-directory --quiet $(PAGE)/node_modules/.installed
	cd $(PAGE) && npm run --silent check
	docker/local/check-nginx
	test/support/check_sql.py

CPPCHECK = --enable=warning,performance,portability --inline-suppr --suppress=missingIncludeSystem \
           -I$(BUILD) -Ifcgi -DVERSION='""'

.PHONY: tidy
tidy: $(TIDY)

$(LINT)/%.tidy: %.c .clang-tidy | $(BUILD)/sql.h
	@mkdir -p $(@D)
	@$(CC) $(ANALYSED) -MM -MT $@ -MF $(@:.tidy=.d) $<
	@echo "analysing $<" >&2
	@clang-tidy --quiet $< -- $(ANALYSED) 2> >(grep -v 'warnings generated' >&2)
	@touch $@
-include $(TIDY:.tidy=.d)

.PHONY: other-compiler
other-compiler: $(BUILD)/sql.h
	@$(MAKE) --no-print-directory --quiet programs BUILD=build/$(OTHER_CC) CC=$(OTHER_CC) CFLAGS=-O1

.PHONY: check
check: ## lint of what changed, and the quick tests; TEST=name runs the tests of that name alone
	@docker/local/setup build www run test lint
	@$(MAKE) --no-print-directory --quiet -j$(shell nproc) $(if $(TEST),,check-changed) programs unit-programs www
	@TEST_BUILD=plain /usr/bin/python3 -m pytest test $(if $(TEST),-k '$(TEST)',-n2 --dist loadgroup \
	  --ignore=test/pod --ignore=test/browser -k '$(QUICK)')

.PHONY: check-changed
check-changed: $(BUILD)/sql.h
	@test/lint/libraries
	@$(if $(CHANGED_C),clang-format --dry-run -Werror $(CHANGED_C))
	@$(if $(CHANGED_C),cppcheck --quiet --error-exitcode=1 $(CPPCHECK) $(CHANGED_C))
	@$(if $(CHANGED_C),$(MAKE) --no-print-directory --quiet $(CHANGED_C:%.c=$(LINT)/%.tidy))
	@$(if $(filter $(SCRIPTS),$(CHANGED)),shellcheck $(filter $(SCRIPTS),$(CHANGED)))
	@$(if $(filter nginx/%.conf,$(CHANGED)),docker/local/check-nginx)
	@$(if $(filter sql/%.sql,$(CHANGED)),$(MAKE) --no-print-directory --quiet programs && test/support/check_sql.py)
	@$(if $(filter $(PAGE)/%,$(CHANGED)),$(MAKE) --no-print-directory --quiet $(PAGE)/node_modules/.installed && cd $(PAGE) && npm run --silent check)
	@$(if $(filter %.yaml %.yml,$(CHANGED)),yamllint --strict $(filter %.yaml %.yml,$(CHANGED)))
	@$(if $(filter test/%.py test/run,$(CHANGED)),flake8 $(filter test/%.py test/run,$(CHANGED)))

quote = '$(subst ','\'',$(1))'
# For editors and other tools that want to know how each file is compiled.
compile_commands.json: Makefile $(C_FILES)
	@printf '%s\n' $(C_FILES) | jq -Rn --arg directory $(call quote,$(CURDIR)) --arg command $(call quote,$(COMPILE)) \
	  '[inputs | {directory: $$directory, file: ., command: "\($$command) -c \(.)"}]' >$@
