# Builds, runs and tests the coworking analytics service. `make help` lists what there is.
.DEFAULT_GOAL := help
SHELL         := /bin/bash
.SHELLFLAGS   := -eu -o pipefail -c
.DELETE_ON_ERROR:

VERSION := $(shell docker/version)
BUILD   ?= build
CFLAGS  ?= -O2 -g -D_FORTIFY_SOURCE=2

WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wformat=2 -Werror
COMPILE   = $(CC) -std=c17 -D_GNU_SOURCE -DVERSION='"$(VERSION)"' $(WARNINGS) -fPIE \
            -fstack-protector-strong $(CFLAGS) -I$(BUILD) -Ifcgi -I$(shell pg_config --includedir) \
            $(shell pkg-config --cflags json-c)
LINK      = $(CC) $(CFLAGS) -pie -Wl,-z,relro,-z,now,--as-needed

# Each program is its main file and, of all the other modules, those that it uses.
MAINS   := main usage_logger
MODULES := $(filter-out $(MAINS),$(patsubst fcgi/%.c,%,$(wildcard fcgi/*.c)))
PROGRAMS = $(BUILD)/analytics-fcgi $(BUILD)/usage-logger

.PHONY: help
help: ## this list
	@sed -n 's/^\([a-z-]*\):.* ## /\1	/p' $(MAKEFILE_LIST) | expand -t 16

.PHONY: build
build: ## the two programs and the page, in build/
	@docker/local/setup build www
	@$(MAKE) --no-print-directory programs www

.PHONY: programs
programs: $(PROGRAMS)

$(BUILD)/analytics-fcgi: $(BUILD)/main.o $(BUILD)/modules.a $(BUILD)/sql.a
	@$(LINK) -o $@ $^ -lfcgi -lpq -ljson-c

$(BUILD)/usage-logger: $(BUILD)/usage_logger.o $(BUILD)/modules.a $(BUILD)/sql.a
	@$(LINK) -o $@ $^ -lpq -ljson-c

$(BUILD)/modules.a: $(MODULES:%=$(BUILD)/%.o)
	@rm -f $@
	@$(AR) rcs $@ $^

$(BUILD)/%.o: fcgi/%.c | $(BUILD)/sql.h
	@echo "compiling $<" >&2
	@$(COMPILE) -MMD -c -o $@ $<

# A header that an earlier build included may be gone: what included it is compiled anew.
fcgi/%.h: ;

# The version is part of every ETag, so a new one compiles anew what uses it.
$(patsubst fcgi/%.c,$(BUILD)/%.o,$(shell grep -lw VERSION fcgi/*.c 2>/dev/null)): $(BUILD)/version
$(BUILD)/version: FORCE
	@mkdir -p $(BUILD)
	@echo '$(VERSION)' | cmp -s - $@ || echo '$(VERSION)' >$@
.PHONY: FORCE
FORCE:

# sql/reports/daily_usage.sql becomes the string sql_reports_daily_usage, without its comments, in an
# object of its own; sql.h declares them all, and changes only when a file comes or goes.
SQL := $(basename $(wildcard sql/logger/*.sql sql/reports/*.sql sql/worker/*.sql)) sql/migrate
$(BUILD)/sql.h: FORCE
	@mkdir -p $(BUILD)
	@printf 'extern const char %s[];\n' $(subst /,_,$(SQL)) >$@.new
	@cmp -s $@.new $@ && rm $@.new || mv $@.new $@

define embed
@mkdir -p $(@D)
@{ echo '#include "sql.h"'; echo 'const char $(subst /,_,$(@:$(BUILD)/%.c=%))[] ='; \
  sed -e '/^--/d' -e 's/[\\"]/\\&/g' -e 's/.*/    "&\\n"/' -e '$$s/$$/;/' $<; } >$@
endef
.SECONDARY: $(SQL:%=$(BUILD)/%.c)
$(BUILD)/sql/%.c: sql/%.sql
	$(embed)
$(BUILD)/sql/migrate.c: $(BUILD)/sql_migrate.sql
	$(embed)
$(BUILD)/sql/%.o: $(BUILD)/sql/%.c | $(BUILD)/sql.h
	@$(COMPILE) -c -o $@ $<
# Built anew, so that it holds nothing of a file that has gone.
$(BUILD)/sql.a: $(SQL:%=$(BUILD)/%.o)
	@rm -f $@ && $(AR) rcs $@ $^

# The whole migration, which psql reads.
$(BUILD)/sql_migrate.sql: sql/generate sql/migrate.sql $(wildcard sql/install/*.sql sql/migrations/*.sql sql/functions/*.sql) \
                          sql/migrations sql/functions
	@mkdir -p $(BUILD)
	@sql/generate >$@

# The page: bundled from its sources and the packages that package-lock.json pins.
PAGE := nginx/www
.PHONY: www
www: build/www

build/www: $(PAGE)/node_modules/.installed $(wildcard $(PAGE)/*.* $(PAGE)/src/*.ts)
	@echo "bundling $(PAGE)" >&2
	@cd $(PAGE) && npm run --silent build
	@touch $@

# By what the file says, not by when it was written: a copy of the sources installs nothing anew.
$(PAGE)/node_modules/.installed: FORCE
	@cd $(PAGE) && cmp -s package-lock.json node_modules/.installed || { \
	  echo "installing the packages of $(PAGE)" >&2; \
	  npm ci --loglevel=error --no-progress >/dev/null && cp package-lock.json node_modules/.installed; }

.PHONY: run
run: ## the whole service in the foreground, on APP_PORT (5153)
	@docker/local/setup build www run
	@$(MAKE) --no-print-directory --quiet programs www
	@exec setpriv --pdeathsig TERM docker/local/run

.PHONY: sanitized
sanitized:
	@$(MAKE) --no-print-directory --quiet programs BUILD=build/sanitized \
	  CFLAGS='-O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all'

.PHONY: test
test: ## all tests; the last line is "N passed, N failed"
	@docker/local/setup build www run test $(if $(shell command -v podman),pod)
	@docker/local/setup browser || echo "no Chromium: the page's tests are skipped" >&2
	@docker/local/setup-pooler || echo "no PgBouncer: the pooler's tests are skipped" >&2
	@docker/local/setup-sign-in || echo "no oauth2-proxy: the tests of sign-in are skipped" >&2
	@$(MAKE) --no-print-directory --quiet -j$(shell nproc) programs sanitized unit-programs www
	@test/run

.PHONY: key
key: ## a new key for the program NAME: it, and its line for the file of keys
	@docker/local/setup key
	@docker/local/key

.PHONY: logins
logins: ## login roles for workers and logger with new random passwords, for a Secret
	@docker/local/logins

.PHONY: goldens
goldens: ## the answers of all reports to the example and the sample data, in test/service/golden/
	@docker/local/setup build run test
	@$(MAKE) --no-print-directory --quiet programs
	@test/support/write_goldens.py

.PHONY: screenshots
screenshots: ## the pictures of the page that README shows
	@docker/local/setup build www run test browser
	@$(MAKE) --no-print-directory --quiet programs www
	@/usr/bin/python3 -m pytest test/browser/take_screenshots.py

.PHONY: migrate
migrate: ## bring schema coworking_analytics up to date in the database named by DB_*
	@docker/local/setup build run
	@$(MAKE) --no-print-directory --quiet programs
	@$(BUILD)/analytics-fcgi --migrate

# The image, and the manifests as a pod on this machine.
.PHONY: image
image: ## the container image, and its size
	@docker/pod/image '$(VERSION)'

.PHONY: pod
pod: ## the manifests as a pod with podman, on APP_PORT (5153), beside a database
	@docker/local/setup pod
	@docker/pod/up '$(VERSION)'

.PHONY: pod-down
pod-down: ## end that pod and remove what it left
	@docker/pod/down

.PHONY: clean
clean: ## remove what was built
	rm -rf build $(PAGE)/node_modules

include test/unit.mk test/lint.mk test/bench.mk

-include $(wildcard $(BUILD)/*.d)
