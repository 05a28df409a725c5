# Builds, runs and tests the coworking analytics service. `make help` lists what there is.
.DEFAULT_GOAL := help
SHELL         := /bin/bash
.SHELLFLAGS   := -eu -o pipefail -c
.DELETE_ON_ERROR:

VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
BUILD   ?= build
CFLAGS  ?= -O2 -g -D_FORTIFY_SOURCE=2

WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wformat=2 -Werror
COMPILE   = $(CC) -std=c17 -D_GNU_SOURCE -DVERSION='"$(VERSION)"' $(WARNINGS) -fPIE \
            -fstack-protector-strong $(CFLAGS) -I$(BUILD) -Ifcgi -I$(shell pg_config --includedir) \
            $(shell pkg-config --cflags json-c)
LINK      = $(CC) $(CFLAGS) -pie -Wl,-z,relro,-z,now,--as-needed

COMMON  := config db db_connect db_exchange db_find db_session db_state hosts json json_escape lag log options \
           settings status
WORKER  := $(COMMON) accept describe http kept main migrate params probe render report reports route upkeep
LOGGER  := $(COMMON) http_client upkeep usage_logger
objects  = $(patsubst %,$(BUILD)/%.o,$(1))
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

$(BUILD)/analytics-fcgi: $(call objects,$(WORKER))
	@$(LINK) -o $@ $^ -lfcgi -lpq -ljson-c

$(BUILD)/usage-logger: $(call objects,$(LOGGER))
	@$(LINK) -o $@ $^ -lpq -ljson-c

$(BUILD)/%.o: fcgi/%.c $(BUILD)/sql.h $(BUILD)/version
	@echo "compiling $<" >&2
	@$(COMPILE) -MMD -c -o $@ $<

# The version is part of every ETag, so a new one compiles anew.
$(BUILD)/version: FORCE
	@mkdir -p $(BUILD)
	@echo '$(VERSION)' | cmp -s - $@ || echo '$(VERSION)' >$@
.PHONY: FORCE
FORCE:

# sql/reports/daily_usage.sql becomes the string sql_reports_daily_usage, without its comments.
SQL := $(wildcard sql/logger/*.sql sql/reports/*.sql sql/worker/*.sql)
$(BUILD)/sql.h: $(SQL) $(BUILD)/sql_migrate.sql Makefile
	@for file in $(SQL) $(BUILD)/sql_migrate.sql; do \
	  name=$${file%.sql}; \
	  name=$${name#$(BUILD)/}; \
	  echo "static const char $${name//\//_}[] __attribute__((unused)) ="; \
	  sed -e '/^--/d' -e 's/[\\"]/\\&/g' -e 's/.*/    "&\\n"/' -e '$$s/$$/;/' "$$file"; \
	done >$@

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
	@$(MAKE) --no-print-directory --quiet programs sanitized unit-programs www
	@/usr/bin/python3 -m pytest test

.PHONY: screenshots
screenshots: ## the pictures of the page that README shows
	@docker/local/setup build www run test browser
	@$(MAKE) --no-print-directory --quiet programs www
	@/usr/bin/python3 -m pytest test/browser/take_screenshots.py

.PHONY: lint
lint: ## layout, static analysis, shell, YAML, nginx.conf, and all SQL on an empty database
	@docker/local/setup build www run test lint
	clang-format --dry-run -Werror $(wildcard fcgi/*.[ch] test/unit/*.[ch] test/fuzz/*.[ch])
	@$(MAKE) --no-print-directory --quiet programs $(BUILD)/sql.h
	cppcheck --quiet --error-exitcode=1 --enable=warning,performance,portability --inline-suppr \
	  --suppress=missingIncludeSystem -I$(BUILD) -Ifcgi -DVERSION='""' fcgi test/unit test/fuzz
	clang-tidy --quiet fcgi/*.c test/unit/*.c test/fuzz/*.c -- -std=c17 -D_GNU_SOURCE -DVERSION='""' -I$(BUILD) -Ifcgi \
	  -I$$(pg_config --includedir) 2> >(grep -v 'warnings generated' >&2)
	shellcheck docker/collect docker/local/* docker/pod/* sql/generate .ci/run
	yamllint --strict .
	@$(MAKE) --no-print-directory --quiet $(PAGE)/node_modules/.installed
	cd $(PAGE) && npm run --silent check
	docker/local/check-nginx
	test/support/check_sql.py

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

include test/unit.mk test/bench.mk

-include $(wildcard $(BUILD)/*.d)
