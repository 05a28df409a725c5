/* The reports, a row each: name, parameters, columns and queries. Requests are checked and answered
 * by these rows, and /openapi.json is made from them. A worker checks them when it starts. */
#include "report.h"
#include "sql.h"

const char *const format_names[] = {"json", "records", "csv", NULL};
const char *const format_types[] = {"application/json", "application/json",
                                    "text/csv; charset=utf-8; header=present"};

/* The query of sql/reports/FILE.sql. */
#define QUERY(file)                                                                                \
    { .name = #file, .sql = sql_reports_##file }

/* Parameters that several reports have; "format" and "order" come last in each, and do not go to
 * the query. */
#define FROM                                                                                       \
    {                                                                                              \
        .name = "from", .kind = PARAM_DATE, .example = "2024-03-01",                               \
        .description = "first day, not after to; by default from the beginning"                    \
    }
#define TO                                                                                         \
    {                                                                                              \
        .name = "to", .kind = PARAM_END_DATE, .example = "2024-03-31",                             \
        .description = "last day; by default to the end"                                           \
    }
#define EVERY                                                                                      \
    {                                                                                              \
        .name = "every", .kind = PARAM_CHOICE, .choices = steps,                                   \
        .description = "a row for each day, week (from Monday) or month"                           \
    }
#define FORMAT                                                                                     \
    {                                                                                              \
        .name = "format", .kind = PARAM_CHOICE, .choices = format_names,                           \
        .description =                                                                             \
            "records is an array of flat objects; without format, an Accept header that "          \
            "prefers text/csv gets csv, any other gets json"                                       \
    }

static const char *const steps[] = {"day", "week", "month", NULL};
static const char *const visit_orders[] = {"id", "visits", NULL};

static const struct param_rule from_to[] = {FROM, TO, FORMAT, {0}};
static const struct param_rule from_to_every[] = {FROM, TO, EVERY, FORMAT, {0}};
static const struct param_rule summary_parameters[] = {
    {.name = "from",
     .kind = PARAM_DATE,
     .example = "2024-03-01",
     .description = "first day, not after to; by default 29 days before the last"},
    {.name = "to",
     .kind = PARAM_END_DATE,
     .example = "2024-03-31",
     .description = "last day; by default the last one that has a token"},
    FORMAT,
    {0},
};
static const struct param_rule user_visits_parameters[] = {
    {.name = "limit",
     .kind = PARAM_INTEGER,
     .largest = 500,
     .example = "100",
     .description = "at most this many rows, with a Link header to the next ones; by default all "
                    "rows"},
    {.name = "after",
     .kind = PARAM_NUMBERS,
     .largest = REPORT_KEY_MAX,
     .example = "3",
     .description = "start after the row with this user_id or, with order=visits, with this "
                    "visits,user_id; with or without limit"},
    {.name = "order",
     .kind = PARAM_CHOICE,
     .choices = visit_orders,
     .description = "by user_id, or most visits first and then by user_id"},
    FORMAT,
    {0},
};
static const struct param_rule busiest_days_parameters[] = {
    FROM,
    TO,
    {.name = "limit",
     .kind = PARAM_INTEGER,
     .largest = 500,
     .example = "10",
     .description = "at most this many rows, the busiest days; by default all rows"},
    FORMAT,
    {0},
};

/* A column of an answer, with an example and a description for /openapi.json. */
#define COLUMN(label, kind, shown, about)                                                          \
    { .name = (label), .type = CELL_##kind, .example = (shown), .description = (about) }

static const struct column daily_usage_columns[] = {
    COLUMN("date", DATE, "2024-03-01", "first day of the day, week or month"),
    COLUMN("visits", INTEGER, "2", "tokens created then and used"),
    {0},
};
static const struct column user_visits_columns[] = {
    COLUMN("user_id", INTEGER, "3", "the user"),
    COLUMN("joined_at", TIMESTAMP, "2024-01-05 08:00:00",
           "when the user joined; six decimals, or none where they are zero"),
    COLUMN("visits", INTEGER, "3", "tokens of the user, used or not"),
    {0},
};
static const struct column hourly_usage_columns[] = {
    COLUMN("weekday", INTEGER, "5", "1 is Monday, 7 is Sunday"),
    COLUMN("hour", INTEGER, "23", "0 to 23"),
    COLUMN("visits", INTEGER, "1", "tokens created then and used"),
    {0},
};
static const struct column busiest_days_columns[] = {
    COLUMN("date", DATE, "2024-03-01", "the day"),
    COLUMN("visits", INTEGER, "2", "tokens created then and used"),
    {0},
};
static const struct column token_redemption_columns[] = {
    COLUMN("date", DATE, "2024-03-01", "the day"),
    COLUMN("requested", INTEGER, "2", "tokens created then"),
    COLUMN("used", INTEGER, "2", "those of them that were used"),
    COLUMN("used_before_request", INTEGER, "0", "used before they were created"),
    COLUMN("within_5_minutes", INTEGER, "1", "used within 5 minutes"),
    COLUMN("within_15_minutes", INTEGER, "1", "used within 15 minutes"),
    COLUMN("within_60_minutes", INTEGER, "1", "used within 60 minutes"),
    {0},
};
static const struct column new_users_columns[] = {
    COLUMN("date", DATE, "2024-01-05", "first day of the day, week or month"),
    COLUMN("joined", INTEGER, "1", "users who joined then"),
    COLUMN("active", INTEGER, "1", "those of them who are active now"),
    {0},
};
static const struct column summary_columns[] = {
    COLUMN("from", TEXT, "2024-03-01", "first day; followed by BC before the year 1"),
    COLUMN("to", DATE, "2024-03-04", "last day"),
    COLUMN("visits", INTEGER, "4", "tokens created in these days and used"),
    COLUMN("requested", INTEGER, "6", "tokens created in these days"),
    COLUMN("previous_visits", INTEGER, "0", "visits in as many days before"),
    COLUMN("previous_requested", INTEGER, "0", "tokens created in as many days before"),
    COLUMN("new_users", INTEGER, "0", "users who joined in these days"),
    COLUMN("previous_new_users", INTEGER, "2", "users who joined in as many days before"),
    {0},
};

const struct report reports[] = {
    {
        .name = "daily_usage",
        .description = "Visits (tokens that were used) per day, week or month",
        .shape = RENDER_VALUES,
        .parameters = from_to_every,
        .columns = daily_usage_columns,
        .orders = {{.query = QUERY(daily_usage)}},
    },
    {
        .name = "user_visits",
        .description = "Tokens per user, used or not; users without tokens are left out",
        .shape = RENDER_OBJECTS,
        .parameters = user_visits_parameters,
        .columns = user_visits_columns,
        .orders = {{.query = QUERY(user_visits), .key = {"user_id"}},
                   {.query = QUERY(user_visits_most_first), .key = {"visits", "user_id"}}},
    },
    {
        .name = "hourly_usage",
        .description = "Visits (tokens that were used) per weekday and hour",
        .shape = RENDER_RECORDS,
        .parameters = from_to,
        .columns = hourly_usage_columns,
        .orders = {{.query = QUERY(hourly_usage)}},
    },
    {
        .name = "busiest_days",
        .description = "Days with visits (tokens that were used), most visits first, then by date",
        .shape = RENDER_RECORDS,
        .parameters = busiest_days_parameters,
        .columns = busiest_days_columns,
        .orders = {{.query = QUERY(busiest_days)}},
    },
    {
        .name = "token_redemption",
        .description = "Tokens per day: how many were requested and used, and how soon",
        .shape = RENDER_RECORDS,
        .parameters = from_to,
        .columns = token_redemption_columns,
        .orders = {{.query = QUERY(token_redemption)}},
    },
    {
        .name = "new_users",
        .description = "Users who joined per day, week or month",
        .shape = RENDER_RECORDS,
        .parameters = from_to_every,
        .columns = new_users_columns,
        .orders = {{.query = QUERY(new_users)}},
    },
    {
        .name = "summary",
        .description = "A period beside as many days before it; no row where there are no tokens",
        .shape = RENDER_RECORDS,
        .parameters = summary_parameters,
        .columns = summary_columns,
        .orders = {{.query = QUERY(summary)}},
    },
    {0},
};
