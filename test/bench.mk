# Measurements, and the contender in Go with what it needs: part of the Makefile.
.PHONY: bench
bench: ## the measurements, some 20 minutes, into test/bench/results.md; ONLY=part takes one part's
	@docker/local/setup build www run bench
	@docker/local/setup-sign-in
	@$(MAKE) --no-print-directory --quiet programs www $(BUILD)/bench/contender
	@PATH=$$PATH:/usr/sbin PYTHONPATH=test/support PYTHONDONTWRITEBYTECODE=1 exec /usr/bin/python3 test/bench/run.py

$(BUILD)/bench/contender: $(addprefix test/bench/contenders/,server.go go.mod go.sum)
	@mkdir -p $(@D)
	@echo "compiling $<" >&2
	@cd $(<D) && GOPATH=$(abspath $(@D))/go GOCACHE=$(abspath $(@D))/cache GOTOOLCHAIN=local \
	  go build -modcacherw -buildvcs=false -o $(abspath $@) .
