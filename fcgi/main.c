/* The worker: opens what it needs, answers requests one at a time, closes. */
#include "config.h"
#include "db.h"
#include "deadline.h"
#include "http.h"
#include "log.h"
#include "migrate.h"
#include "options.h"
#include "probe.h"
#include "report.h"
#include "route.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* How long a new worker looks for its database before it takes requests, which look themselves. */
enum { FIRST_CONNECT_MS = 1000 };

static const char help[] =
    "usage: analytics-fcgi [--probe | --check | --migrate | --help | --version]\n"
    "Answers reports over FastCGI on a socket at standard input, as spawn-fcgi passes it, or one\n"
    "request as a plain CGI program:\n"
    "  REQUEST_METHOD=GET PATH_INFO=/api/reports/daily_usage analytics-fcgi\n"
    "  --probe    answer /health_check and /readiness_check only\n"
    "  --check    check the configuration in the environment, and end\n"
    "  --migrate  bring the database up to date, and end\n";

static const char *const options[] = {"--probe", "--check", "--migrate", NULL};

int main(int argc, char **argv) {
    struct config config;
    const char *option = options_read(argc, argv, help, options);
    options_load_config(&config);
    if (option && strcmp(option, "--check") == 0)
        return EXIT_SUCCESS;
    if (option && strcmp(option, "--migrate") == 0)
        return migrate(&config);
    if (!http_open()) {
        (void)fputs(help, stderr);
        return EXIT_FAILURE;
    }
    log_open(http_is_cgi() ? STDERR_FILENO : STDOUT_FILENO, (enum log_level)config.log_level);
    struct db *db = db_open(&config, DB_READ_ONLY);
    if (!db)
        return EXIT_FAILURE;
    probe_open(db);
    if (!option)
        report_open(db);
    if (!http_is_cgi())
        (void)db_connect(db, deadline_in(FIRST_CONNECT_MS));

    bool whole = true;
    struct request *request;
    while ((request = http_accept())) {
        route_answer(request, db, config.statement_timeout_ms);
        whole = http_finish();
    }
    db_close(db);
    return http_is_cgi() && !whole ? EXIT_FAILURE : EXIT_SUCCESS;
}
