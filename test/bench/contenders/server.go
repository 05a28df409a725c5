// The plain queries of both reports in Go: net/http and pgx. Connects by libpq's own variables.
package main

import (
	"context"
	"log"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

const dailyUsage = `
	SELECT created_at::date AS date, count(*) AS visits
	  FROM tokens
	 WHERE used_at IS NOT NULL
	 GROUP BY 1
	 ORDER BY 1`

const userVisits = `
	SELECT t.user_id, u.joined_at, count(*) AS visits
	  FROM tokens t
	  LEFT JOIN users u ON u.id = t.user_id
	 GROUP BY t.user_id, u.joined_at
	 ORDER BY t.user_id`

// A format appends one row to the body as a member of the report's object.
type format func(body []byte, rows pgx.Rows) ([]byte, error)

func appendDay(body []byte, rows pgx.Rows) ([]byte, error) {
	var date time.Time
	var visits int64
	err := rows.Scan(&date, &visits)
	body = date.AppendFormat(body, `"2006-01-02":`)
	return strconv.AppendInt(body, visits, 10), err
}

func appendUser(body []byte, rows pgx.Rows) ([]byte, error) {
	var user, visits int64
	var joined time.Time
	err := rows.Scan(&user, &joined, &visits)
	layout := "2006-01-02 15:04:05.000000"
	if joined.Nanosecond() == 0 {
		layout = "2006-01-02 15:04:05"
	}
	body = strconv.AppendInt(append(body, '"'), user, 10)
	body = joined.AppendFormat(append(body, `":{"joined_at":"`...), layout)
	return append(strconv.AppendInt(append(body, `","visits":`...), visits, 10), '}'), err
}

func render(rows pgx.Rows, add format) (body []byte, err error) {
	defer rows.Close()
	body = append(body, '{')
	for rows.Next() && err == nil {
		if len(body) > 1 {
			body = append(body, ',')
		}
		body, err = add(body, rows)
	}
	if err == nil {
		err = rows.Err()
	}
	return append(body, "}\n"...), err
}

func report(pool *pgxpool.Pool, query string, add format) http.HandlerFunc {
	return func(answer http.ResponseWriter, request *http.Request) {
		var body []byte
		rows, err := pool.Query(request.Context(), query)
		if err == nil {
			body, err = render(rows, add)
		}
		if err != nil {
			http.Error(answer, err.Error(), http.StatusServiceUnavailable)
			return
		}
		answer.Header().Set("Content-Type", "application/json")
		answer.Header().Set("Content-Length", strconv.Itoa(len(body)))
		_, _ = answer.Write(body)
	}
}

func main() {
	pool, err := pgxpool.New(context.Background(), "pool_max_conns=4")
	if err != nil {
		log.Fatal(err)
	}
	http.HandleFunc("/api/reports/daily_usage", report(pool, dailyUsage, appendDay))
	http.HandleFunc("/api/reports/user_visits", report(pool, userVisits, appendUser))
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), nil))
}
