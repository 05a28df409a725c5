"""For Schemathesis: what OpenAPI cannot say. Requests that are wrong for how their parameters go together, while each
is right by itself, must not count as right ones."""

import schemathesis


@schemathesis.hook
def filter_case(_context, case):
    """Whether a request is what it is taken for."""
    if not case.meta.generation.mode.is_positive:
        return True
    query = case.query or {}
    numbers = 2 if query.get("order") == "visits" else 1
    return (query.get("from", "") <= query.get("to", "9")
            and ("after" not in query or len(query["after"].split(",")) == numbers))
