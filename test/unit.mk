# Unit tests and the fuzz target, built with sanitizers in folders of their own: part of the Makefile.
UNIT     := $(BUILD)/unit
FUZZ     := $(BUILD)/fuzz
SANITIZE := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all

UNIT_PROGRAMS := $(patsubst test/unit/%.c,$(UNIT)/%,$(wildcard test/unit/test_*.c))

# Private: what the programs share with the tests, sql.a, is not built with sanitizers.
$(UNIT)/%: private override CFLAGS := $(SANITIZE)
$(FUZZ)/%: private override CFLAGS := $(SANITIZE) -fsanitize=fuzzer
$(FUZZ)/%: private override CC := clang

# All that test/unit/test_units.py runs.
.PHONY: unit-programs
unit-programs: $(UNIT_PROGRAMS) $(FUZZ)/fuzz programs

.PHONY: unit
unit: $(UNIT_PROGRAMS) ## the unit tests alone
	@status=0; for program in $^; do $$program || status=1; done; exit $$status

# New inputs go to the first folder, so that the seeds stay as they are.
.PHONY: fuzz
fuzz: $(FUZZ)/fuzz ## arbitrary bytes to the parsers, for 10 seconds at most
	@mkdir -p $(FUZZ)/corpus
	@$< -runs=200000 -max_total_time=10 -max_len=2048 -timeout=5 -verbosity=0 -print_final_stats=1 \
	  -artifact_prefix=$(FUZZ)/ $(FUZZ)/corpus test/fuzz/corpus 2>$(FUZZ)/log || \
	  { cat $(FUZZ)/log >&2; exit 1; }
	@grep number_of_executed_units $(FUZZ)/log

define compile_test
@mkdir -p $(@D)
@echo "compiling $< for $(@D)" >&2
@$(COMPILE) -MMD -c -o $@ $<
endef

.PRECIOUS: $(UNIT)/%.o $(FUZZ)/%.o
$(UNIT)/%.o: fcgi/%.c | $(BUILD)/sql.h
	$(compile_test)
$(UNIT)/%.o: test/unit/%.c
	$(compile_test)
$(FUZZ)/%.o: fcgi/%.c | $(BUILD)/sql.h
	$(compile_test)
$(FUZZ)/%.o: test/fuzz/%.c
	$(compile_test)

# Of these archives the linker takes what a test uses.
$(UNIT)/modules.a: $(MODULES:%=$(UNIT)/%.o)
	@rm -f $@ && $(AR) rcs $@ $^
$(FUZZ)/modules.a: $(MODULES:%=$(FUZZ)/%.o)
	@rm -f $@ && $(AR) rcs $@ $^

$(UNIT)/test_%: $(UNIT)/test_%.o $(UNIT)/modules.a $(BUILD)/sql.a
	@$(LINK) -o $@ $^ -lcmocka -ljson-c

$(FUZZ)/fuzz: $(FUZZ)/fuzz.o $(FUZZ)/modules.a $(BUILD)/sql.a
	@$(LINK) -o $@ $^ -ljson-c

-include $(wildcard $(UNIT)/*.d $(FUZZ)/*.d)
