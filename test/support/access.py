"""What is open to everybody, what is closed, and how those are refused who have no key and no session."""

from reports import REPORTS

PROBES = ["/nginx_check", "/health_check", "/readiness_check"]
FILES = ["/", "/index.html", "/app.js", "/style.css", "/icon.svg"]
NOTHING = ["/nope", "/problem", "/%70roblem", "/none", "/api", "/api/", "/api/nope", "/api/reports", "/app.js/", "/nginx", "/access/keys",
           "/nginx/keys.conf", "/www/app.js", "/problem?a=1", "//problem", "/x/../problem",
           "/app.js%0a", "/index.html%0A", "/health_check%0a", "/api/%0a"]
CLOSED = [*FILES, *REPORTS, "/api/reports/", "/openapi.json", *NOTHING]
METHODS = ["GET", "HEAD", "OPTIONS", "POST", "PUT", "DELETE", "PATCH", "PROPFIND", "NOPE"]


def is_refused(answer, method="GET", challenge="Basic"):
    """Whether it is the 401 that everybody gets, whatever the path."""
    assert answer.status == 401, answer.status
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.headers["Cache-Control"] == "no-store" and answer.headers["X-Request-Id"]
    assert answer.headers.get_all("WWW-Authenticate")[0].startswith(f'{challenge} realm="coworking analytics"')
    assert len(answer.headers.get_all("WWW-Authenticate")) == 1
    assert not set(answer.headers) & {"Allow", "ETag", "Data-As-Of", "Link", "Last-Modified", "Content-Security-Policy"}
    if method == "HEAD":
        return answer.body == b""
    document = answer.json()
    assert document["instance"] == f"urn:request:{answer.headers['X-Request-Id']}"
    return (document["status"], document["title"]) == (401, "Unauthorized") and "key" in document["detail"]
