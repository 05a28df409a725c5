/* Walks over a list of servers: their order, their bounds, and which servers are skipped. */
#include "hosts.h"

#include "cases.h"

#include <stdlib.h>
#include <string.h>

static struct hosts hosts; /* 60 kB */

static void read_list(const char *names, const char *addresses, const char *ports) {
    hosts = (struct hosts){0};
    hosts_read(&hosts, names, addresses, ports);
}

/* The walk as "name|address|port …". */
static const char *walk(void) {
    static char text[4096];
    struct candidate candidate;
    size_t length = 0;
    *text = '\0';
    hosts_start(&hosts);
    while (hosts_next(&hosts, &candidate))
        length +=
            (size_t)snprintf(text + length, sizeof text - length, "%s%s|%s|%s", length ? " " : "",
                             candidate.name, candidate.address, candidate.port);
    return text;
}

struct list {
    const char *name, *names, *addresses, *ports, *walk;
};

static const struct list lists[] = {
    {"an address", "127.0.0.1", NULL, "5432", "127.0.0.1|127.0.0.1|5432"},
    {"two addresses", "127.0.0.1,::1", NULL, "5432", "127.0.0.1|127.0.0.1|5432 ::1|::1|5432"},
    {"a port each", "127.0.0.1,::1", NULL, "1,2", "127.0.0.1|127.0.0.1|1 ::1|::1|2"},
    {"fewer ports", "/a,/b,/c", NULL, "1,2", "/a||1 /b||2 /c||"},
    {"no port", "127.0.0.1", NULL, NULL, "127.0.0.1|127.0.0.1|"},
    {"a socket's folder", "/run/postgresql", NULL, "5432", "/run/postgresql||5432"},
    {"an abstract socket", "@postgresql", NULL, "5432", "@postgresql||5432"},
    {"nothing", NULL, NULL, NULL, "||"},
    {"an empty name in a list", "/a,,/b", NULL, "1", "/a||1 ||1 /b||1"},
    {"hostaddr", NULL, "192.0.2.1,192.0.2.2", "1", "|192.0.2.1|1 |192.0.2.2|1"},
    {"hostaddr beside a name", "db.invalid", "192.0.2.1", "1", "db.invalid|192.0.2.1|1"},
    {"a name that is none", "no name,/b", NULL, "1", "/b||1"},
};

static void check_list(void **state) {
    const struct list *list = *state;
    read_list(list->names, list->addresses, list->ports);
    assert_string_equal(walk(), list->walk);
    assert_string_equal(walk(), list->walk);
}

static void check_name(void **state) {
    (void)state;
    read_list("localhost", NULL, "1");
    assert_non_null(strstr(walk(), "localhost|"));
    read_list("no name", NULL, "1");
    assert_string_equal(walk(), "");
    assert_non_null(hosts.trouble);
}

/* Servers beyond the bounds are not tried, and nothing is written there. */
static void check_bounds(void **state) {
    (void)state;
    char names[4 * HOSTS_NAME_SIZE] = "/", ports[4 * HOSTS_MAX] = "";
    memset(names + 1, 'x', HOSTS_NAME_SIZE);
    read_list(names, NULL, "1");
    assert_string_equal(walk(), "||1");
    for (size_t i = 0; i < sizeof "/a" * 2 * HOSTS_MAX - 1; i++)
        names[i] = "/a,"[i % 3];
    names[sizeof "/a" * 2 * HOSTS_MAX - 1] = '\0';
    for (size_t i = 0; i < sizeof "1" * 2 * HOSTS_MAX - 1; i++)
        ports[i] = "1,"[i % 2];
    read_list(names, NULL, ports);
    assert_int_equal(hosts.count, HOSTS_MAX);
    assert_int_equal(strlen(walk()), strlen("/a||1") * HOSTS_MAX + HOSTS_MAX - 1);
}

static void leave_out(const char *name) {
    struct candidate candidate = {.port = "1"};
    (void)snprintf(candidate.name, sizeof candidate.name, "%s", name);
    hosts_leave_out(&hosts, &candidate);
}

static void check_left_out(void **state) {
    (void)state;
    read_list("/a,/b,/c", NULL, "1");
    leave_out("/a");
    assert_string_equal(walk(), "/b||1 /c||1 /a||1");
    leave_out("/b");
    assert_string_equal(walk(), "/c||1 /a||1 /b||1");
    leave_out("/c");
    assert_string_equal(walk(), "/a||1 /b||1 /c||1");
    leave_out("/d");
    assert_string_equal(walk(), "/a||1 /b||1 /c||1");
}

/* A server that is left out during a walk does not come again in it. */
static void check_left_out_on_the_way(void **state) {
    (void)state;
    struct candidate candidate;
    read_list("/a,/b", NULL, "1");
    hosts_start(&hosts);
    size_t tried = 0;
    while (hosts_next(&hosts, &candidate) && ++tried < 10)
        hosts_leave_out(&hosts, &candidate);
    assert_int_equal(tried, 2);
}

static void check_end_of_left_out(void **state) {
    (void)state;
    read_list("/a,/b", NULL, "1");
    leave_out("/a");
    hosts.left_out[0].until -= HOSTS_LEFT_OUT_MS;
    assert_string_equal(walk(), "/a||1 /b||1");
}

/* When too many are left out, the latest ones stay so. */
static void check_many_left_out(void **state) {
    (void)state;
    char name[16];
    read_list("/a,/b", NULL, "1");
    for (int i = 0; i < 3 * HOSTS_MAX; i++) {
        (void)snprintf(name, sizeof name, "/%d", i);
        leave_out(name);
    }
    leave_out("/a");
    assert_string_equal(walk(), "/b||1 /a||1");
}

static void check_still_to_try(void **state) {
    (void)state;
    struct candidate candidate;
    read_list("/a,/b,/c", NULL, "1");
    leave_out("/c");
    hosts_start(&hosts);
    assert_true(hosts_next(&hosts, &candidate));
    assert_int_equal(hosts_still_to_try(&hosts), 2);
    assert_true(hosts_next(&hosts, &candidate));
    assert_int_equal(hosts_still_to_try(&hosts), 1);
    assert_true(hosts_next(&hosts, &candidate));
    assert_int_equal(hosts_still_to_try(&hosts), 0);
    assert_false(hosts_next(&hosts, &candidate));
    assert_int_equal(hosts_size(&hosts), 3);
}

/* Of 100 walks over four servers each server begins some, and each walk visits all. */
static void check_shuffled(void **state) {
    (void)state;
    int first[4] = {0};
    read_list("/a,/b,/c,/d", NULL, "1");
    hosts.is_shuffled = true;
    for (int i = 0; i < 100; i++) {
        const char *text = walk();
        first[text[1] - 'a']++;
        assert_int_equal(strlen(text), strlen("/a||1 /b||1 /c||1 /d||1"));
        assert_true(strstr(text, "/a") && strstr(text, "/b") && strstr(text, "/c") &&
                    strstr(text, "/d"));
    }
    for (int i = 0; i < 4; i++)
        assert_in_range(first[i], 1, 99);
}

/* Within a minute and a half, and at different times for different processes. */
static void check_renewal(void **state) {
    (void)state;
    int64_t earliest = INT64_MAX, latest = 0;
    for (unsigned seed = 1000; seed < 1000 + 20000; seed++) {
        int64_t renewal = hosts_renew_at(500, seed);
        earliest = renewal < earliest ? renewal : earliest;
        latest = renewal > latest ? renewal : latest;
    }
    assert_in_range(earliest, 500 + 30000, 500 + 90000);
    assert_in_range(latest, earliest + 5000, 500 + 90000);
    assert_true(hosts_renew_at(500, 7) != hosts_renew_at(500, 8));
}

int main(void) {
    ADD_CASES(lists, check_list);
    add_case("a name is resolved", check_name, NULL);
    add_case("bounds", check_bounds, NULL);
    add_case("those left out come last", check_left_out, NULL);
    add_case("left out on the way", check_left_out_on_the_way, NULL);
    add_case("left out for a while", check_end_of_left_out, NULL);
    add_case("many left out", check_many_left_out, NULL);
    add_case("still to try", check_still_to_try, NULL);
    add_case("shuffled", check_shuffled, NULL);
    add_case("renewal", check_renewal, NULL);
    return run_cases("hosts");
}
