/* The worker: opens what it needs, answers requests one at a time, closes. */
#include "check.h"
#include "config.h"
#include "db.h"
#include "deadline.h"
#include "http.h"
#include "log.h"
#include "migrate.h"
#include "options.h"
#include "pool.h"
#include "probe.h"
#include "report.h"
#include "report_check.h"
#include "route.h"
#include "server_names.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* How long a new worker tries to connect before it takes requests, each of which tries again. */
enum { FIRST_CONNECT_MS = 1000 };

static const char help[] =
    "usage: analytics-fcgi [--probe | --pool | --probe-pool | --check | --server-names |\n"
    "                       --migrate | --help | --version]\n"
    "Answers reports over FastCGI on a socket at standard input, as spawn-fcgi passes it, or one\n"
    "request as a plain CGI program:\n"
    "  REQUEST_METHOD=GET PATH_INFO=/api/reports/daily_usage analytics-fcgi\n"
    "  --probe       answer /health_check and /readiness_check only\n"
    "  --pool        run FCGI_WORKERS workers on the socket run/reports.sock\n"
    "  --probe-pool  run one worker with --probe on the socket run/probe.sock\n"
    "  --check       check the configuration in the environment and the role's rights, and end\n"
    "  --server-names  write run/server_names.conf, which nginx includes, and end\n"
    "  --migrate     bring the database up to date, and end\n";

static const char *const options[] = {
    "--probe", "--pool", "--probe-pool", "--check", "--server-names", "--migrate", NULL};

static bool is(const char *option, const char *name) {
    return option && strcmp(option, name) == 0;
}

/* Answers requests until it is time to end. False when the last answer did not go out whole. */
static bool serve(struct http *http, struct db *db, long limit_ms) {
    bool whole = true;
    struct request *request;
    while ((request = http_next(http))) {
        route_answer(request, db, limit_ms);
        whole = http_finish(http);
    }
    return whole;
}

int main(int argc, char **argv) {
    struct config config;
    const char *option = options_read(argc, argv, help, options);
    options_load_config(&config, is(option, "--check") || is(option, "--migrate"));
    if (is(option, "--server-names"))
        return server_names_write(config.server_names);
    if (is(option, "--migrate"))
        return migrate(&config);
    if (!report_check_rows(reports))
        return EXIT_FAILURE;
    if (is(option, "--check"))
        return check(&config);
    if (is(option, "--pool") || is(option, "--probe-pool"))
        return pool_run(&config, is(option, "--probe-pool"));
    pool_join();
    struct http *http = http_open();
    if (!http) {
        (void)fputs(help, stderr);
        return EXIT_FAILURE;
    }
    bool is_cgi = http_is_cgi(http);
    log_open(is_cgi ? STDERR_FILENO : STDOUT_FILENO, (enum log_level)config.log_level);
    struct db *db = db_open(&config, DB_READ_ONLY);
    if (!db)
        return EXIT_FAILURE;
    probe_open(db);
    if (!option)
        report_open(db, config.workers);
    if (!is_cgi)
        (void)db_connect(db, deadline_in(FIRST_CONNECT_MS));
    bool whole = serve(http, db, config.statement_timeout_ms);
    db_close(db);
    http_close(http);
    return is_cgi && !whole ? EXIT_FAILURE : EXIT_SUCCESS;
}
