/* The reports, a row each: what they are called, ask, take and show. Requests are checked and
 * answered by these rows, and /openapi.json is made of them. */
#include "report.h"
#include "sql.h"

const char *const format_names[] = {"json", "records", "csv", NULL};
const char *const format_types[] = {"application/json", "application/json",
                                    "text/csv; charset=utf-8; header=present"};

/* Parameters that several reports have; "format" comes last in each. */
#define FROM                                                                                       \
    {                                                                                              \
        .name = "from", .kind = PARAM_DATE, .example = "2024-03-01",                               \
        .description = "first day, not after to; where there is none, from the beginning"          \
    }
#define TO                                                                                         \
    {                                                                                              \
        .name = "to", .kind = PARAM_END_DATE, .example = "2024-03-31",                             \
        .description = "last day; where there is none, to the end"                                 \
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
            "prefers text/csv gets csv, and any other json"                                        \
    }

static const char *const steps[] = {"day", "week", "month", NULL};
static const char *const visit_orders[] = {"id", "visits", NULL};

static const struct param_rule from_to[] = {FROM, TO, FORMAT, {0}};
static const struct param_rule from_to_every[] = {FROM, TO, EVERY, FORMAT, {0}};
static const struct param_rule summary_parameters[] = {
    {.name = "from",
     .kind = PARAM_DATE,
     .example = "2024-03-01",
     .description = "first day, not after to; where there is none, 29 days before the last"},
    {.name = "to",
     .kind = PARAM_END_DATE,
     .example = "2024-03-31",
     .description = "last day; where there is none, the last one that has a token"},
    FORMAT,
    {0},
};
static const struct param_rule user_visits_parameters[] = {
    {.name = "limit",
     .kind = PARAM_INTEGER,
     .largest = 500,
     .example = "100",
     .description = "rows at most; the Link header leads to the next ones. Where there is none, "
                    "all rows"},
    {.name = "after",
     .kind = PARAM_NUMBERS,
     .largest = REPORT_KEY_MAX,
     .example = "3",
     .description = "begin behind the row of this user_id or, with order=visits, of this "
                    "visits,user_id; with or without limit"},
    {.name = "order",
     .kind = PARAM_CHOICE,
     .choices = visit_orders,
     .description = "by user_id; or most visits first, and those with as many by user_id"},
    FORMAT,
    {0},
};

static const struct column daily_usage_columns[] = {
    {"date", CELL_DATE, "2024-03-01", "first day of the day, week or month"},
    {"visits", CELL_INTEGER, "2", "tokens created then and used"},
    {0},
};
static const struct column user_visits_columns[] = {
    {"user_id", CELL_INTEGER, "3", "the user"},
    {"joined_at", CELL_TIMESTAMP, "2024-01-05 08:00:00",
     "when the user joined; six decimals, or none where they are zero"},
    {"visits", CELL_INTEGER, "3", "tokens of the user, used or not"},
    {0},
};
static const struct column hourly_usage_columns[] = {
    {"weekday", CELL_INTEGER, "5", "1 is Monday, 7 is Sunday"},
    {"hour", CELL_INTEGER, "23", "0 to 23"},
    {"visits", CELL_INTEGER, "1", "tokens created then and used"},
    {0},
};
static const struct column token_redemption_columns[] = {
    {"date", CELL_DATE, "2024-03-01", "the day"},
    {"requested", CELL_INTEGER, "2", "tokens created then"},
    {"used", CELL_INTEGER, "2", "those of them that were used"},
    {"used_before_request", CELL_INTEGER, "0", "used before they were created"},
    {"within_5_minutes", CELL_INTEGER, "1", "used within 5 minutes"},
    {"within_15_minutes", CELL_INTEGER, "1", "used within 15 minutes"},
    {"within_60_minutes", CELL_INTEGER, "1", "used within 60 minutes"},
    {0},
};
static const struct column new_users_columns[] = {
    {"date", CELL_DATE, "2024-01-05", "first day of the day, week or month"},
    {"joined", CELL_INTEGER, "1", "users who joined then"},
    {"active", CELL_INTEGER, "1", "those of them who are active now"},
    {0},
};
static const struct column summary_columns[] = {
    {"from", CELL_TEXT, "2024-03-01", "first day; with BC behind it before the year 1"},
    {"to", CELL_DATE, "2024-03-04", "last day"},
    {"visits", CELL_INTEGER, "4", "tokens created in these days and used"},
    {"requested", CELL_INTEGER, "6", "tokens created in these days"},
    {"previous_visits", CELL_INTEGER, "0", "visits in as many days before"},
    {"previous_requested", CELL_INTEGER, "0", "tokens created in as many days before"},
    {"new_users", CELL_INTEGER, "0", "users who joined in these days"},
    {"previous_new_users", CELL_INTEGER, "2", "users who joined in as many days before"},
    {0},
};

const struct report reports[] = {
    {
        .name = "daily_usage",
        .description = "Visits (tokens that were used) per day, week or month",
        .shape = RENDER_VALUES,
        .parameters = from_to_every,
        .columns = daily_usage_columns,
        .orders = {{{"daily_usage", sql_reports_daily_usage, 3}}},
    },
    {
        .name = "user_visits",
        .description = "Tokens per user, used or not; users without tokens are left out",
        .shape = RENDER_OBJECTS,
        .parameters = user_visits_parameters,
        .columns = user_visits_columns,
        .orders = {{{"user_visits", sql_reports_user_visits, 2}, 1, {0}},
                   {{"user_visits_most_first", sql_reports_user_visits_most_first, 2}, 2, {2, 0}}},
    },
    {
        .name = "hourly_usage",
        .description = "Visits (tokens that were used) per weekday and hour",
        .shape = RENDER_RECORDS,
        .parameters = from_to,
        .columns = hourly_usage_columns,
        .orders = {{{"hourly_usage", sql_reports_hourly_usage, 2}}},
    },
    {
        .name = "token_redemption",
        .description = "Tokens per day: how many were requested and used, and how soon",
        .shape = RENDER_RECORDS,
        .parameters = from_to,
        .columns = token_redemption_columns,
        .orders = {{{"token_redemption", sql_reports_token_redemption, 2}}},
    },
    {
        .name = "new_users",
        .description = "Users who joined per day, week or month",
        .shape = RENDER_RECORDS,
        .parameters = from_to_every,
        .columns = new_users_columns,
        .orders = {{{"new_users", sql_reports_new_users, 3}}},
    },
    {
        .name = "summary",
        .description = "A period beside as many days before it; no row where there are no tokens",
        .shape = RENDER_RECORDS,
        .parameters = summary_parameters,
        .columns = summary_columns,
        .orders = {{{"summary", sql_reports_summary, 2}}},
    },
    {0},
};
