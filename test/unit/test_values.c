/* What a variable's text can be: white space, hosts, addresses, ports, keys. */
#include "values.h"

#include "cases.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct trimmed {
    const char *name; /* the text */
    bool is_list;
    const char *result;
};

static const struct trimmed trimmed[] = {
    {"plain", false, "plain"},
    {"a b", false, "a b"},
    {" a b\r\n", false, "a b"},
    {"\t", false, ""},
    {"", false, ""},
    {"a , b", false, "a , b"},
    {"a,b", true, "a,b"},
    {" a , b ", true, "a,b"},
    {"a, ,b", true, "a,,b"},
    {" , ", true, ","},
    {"one item ", true, "one item"},
};

static void check_trimmed(void **state) {
    const struct trimmed *line = *state;
    char text[64];
    (void)snprintf(text, sizeof text, "%s", line->name);
    assert_int_equal(values_trim(text, line->is_list), strcmp(line->name, line->result) != 0);
    assert_string_equal(text, line->result);
}

struct list {
    const char *name;
    bool are_hosts, are_addresses, are_ports;
};

#define LABEL_63 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static const struct list lists[] = {
    {"db", true, false, false},
    {"db.example.org", true, false, false},
    {"db.example.org.", true, false, false},
    {"my_db-1", true, false, false},
    {LABEL_63 ".example", true, false, false},
    {"a" LABEL_63 ".example", false, false, false},
    {"127.0.0.1", true, true, false},
    {"127.1", true, false, false},
    {"127.0.0.256", false, false, false},
    {"5432", true, false, true},
    {"::1", true, true, false},
    {"fe80::1%eth0", true, true, false},
    {"fe80::1%", false, false, false},
    {"127.0.0.1%eth0", false, false, false},
    {"[::1]", false, false, false},
    {":::1", false, false, false},
    {"/run/postgresql", true, false, false},
    {"@abstract", true, false, false},
    {"a,b,127.0.0.1", true, false, false},
    {"127.0.0.1,::1", true, true, false},
    {"1,65535", true, false, true},
    {"65536", true, false, false},
    {"0", true, false, false},
    {"two words", false, false, false},
    {"a:5432", false, false, false},
    {"a/b", false, false, false},
    {"a..b", false, false, false},
    {".", false, false, false},
    {"\xc3\xa9", false, false, false},
    {"\"a\"", false, false, false},
};

static void check_list(void **state) {
    const struct list *line = *state;
    assert_int_equal(values_are_hosts(line->name), line->are_hosts);
    assert_int_equal(values_are_addresses(line->name), line->are_addresses);
    assert_int_equal(values_are_ports(line->name, false), line->are_ports);
}

static void check_empty_items(void **state) {
    (void)state;
    assert_false(values_are_hosts(""));
    assert_false(values_are_hosts("a,,b"));
    assert_true(values_are_addresses("127.0.0.1,,::1"));
    assert_false(values_are_ports("1,,2", false));
    assert_true(values_are_ports("1,,2", true));
    assert_int_equal(values_count(""), 1);
    assert_int_equal(values_count("a,,b"), 3);
}

/* libpq's own rule for keys, by the file's mode and who owns it. */
static void check_key(void **state) {
    (void)state;
    char path[] = "/tmp/coworking-test-values.XXXXXX";
    int file = mkstemp(path);
    assert_true(file >= 0);
    (void)close(file);
    assert_true(values_is_private_key(path));
    assert_int_equal(chmod(path, 0640), 0);
    assert_int_equal(values_is_private_key(path), geteuid() == 0);
    assert_int_equal(chmod(path, 0644), 0);
    assert_false(values_is_private_key(path));
    assert_true(values_is_readable_file(path));
    assert_int_equal(unlink(path), 0);
    assert_false(values_is_private_key(path));
    assert_false(values_is_readable_file(path));
    assert_true(values_is_readable_folder("/tmp"));
    assert_false(values_is_readable_file("/tmp"));
}

int main(void) {
    ADD_CASES(trimmed, check_trimmed);
    ADD_CASES(lists, check_list);
    add_case("empty items", check_empty_items, NULL);
    add_case("a private key", check_key, NULL);
    return run_cases("values");
}
