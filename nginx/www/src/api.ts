// Fetches reports, and describes what went wrong when there is no answer.
import type { Day, Every } from './dates';

/** The reports that the page shows, by name, and the type of their rows. */
export interface Rows {
  summary: {
    from: Day;
    to: Day;
    visits: number;
    requested: number;
    previous_visits: number;
    previous_requested: number;
    new_users: number;
    previous_new_users: number;
  };
  daily_usage: { date: Day; visits: number };
  hourly_usage: { weekday: number; hour: number; visits: number };
  token_redemption: {
    date: Day;
    requested: number;
    used: number;
    used_before_request: number;
    within_5_minutes: number;
    within_15_minutes: number;
    within_60_minutes: number;
  };
  new_users: { date: Day; joined: number; active: number };
  user_visits: { user_id: number; joined_at: string | null; visits: number };
}
export type Report = keyof Rows;

/** A report and its parameters. */
export class Query<Name extends Report = Report> {
  constructor(
    readonly report: Name,
    readonly parameters: { from?: Day; to?: Day; every?: Every; order?: 'visits'; limit?: number; after?: string } = {},
  ) {}

  url(format: 'records' | 'csv'): string {
    const search = new URLSearchParams();
    for (const [name, value] of Object.entries(this.parameters)) {
      if (value !== undefined && value !== '') search.set(name, String(value));
    }
    search.set('format', format);
    return `api/reports/${this.report}?${search}`; // relative: a proxy may serve the page under a prefix
  }
}

export interface Answer<Row> {
  readonly rows: Row[];
  readonly text: string; // the rows as received, to see whether they changed
  readonly after: string | null; // the parameter that requests the next rows
  readonly lag: Lag | null; // null where the service does not say
  readonly user: string | null; // whose session it is; null without one
}

/** How old the data of an answer is: the time of the last change it can include, and the age in seconds. */
export interface Lag {
  readonly asOf: Date;
  readonly seconds: number;
}

/** Why there is no answer. */
export class Problem extends Error {
  constructor(
    title: string,
    readonly detail: string,
    readonly requestId: string | null = null,
    readonly status: number | null = null,
  ) {
    super(title);
  }

  /** Whether both have the same text; the request ids may differ. */
  isLike(other: Problem): boolean {
    return this.message === other.message && this.detail === other.detail;
  }
}

const PATIENCE = 70_000; // the service itself gives up after 60 s at most
const MOST_REFUSALS = 20; // before the page reports a 429

/** Fetches with a time limit. AbortSignal.any is shorter, but newer than the oldest browsers that build.mjs names. */
async function fetchInTime(url: string, signal: AbortSignal): Promise<{ response: Response; text: string }> {
  const controller = new AbortController();
  const abort = () => controller.abort(signal.reason);
  const timer = setTimeout(abort, PATIENCE);
  signal.addEventListener('abort', abort);
  try {
    const response = await fetch(url, { cache: 'no-cache', signal: controller.signal });
    return { response, text: await response.text() };
  } catch (error) {
    if (signal.aborted) throw error;
    throw new Problem('No answer', 'The service cannot be reached from here.');
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', abort);
  }
}

/** Retries after 429: the service limits concurrent requests from one address, which many readers may share. */
async function fetchWhenAllowed(url: string, signal: AbortSignal): Promise<{ response: Response; text: string }> {
  for (let refusals = 0; ; refusals++) {
    const answer = await fetchInTime(url, signal);
    if (answer.response.status !== 429 || refusals === MOST_REFUSALS) return answer;
    await new Promise((resolve) => setTimeout(resolve, 500 + 1000 * Math.random()));
    signal.throwIfAborted();
  }
}

/** The browser's cache adds the ETag of the last answer, so that an unchanged report costs almost nothing. */
export async function ask<Name extends Report>(query: Query<Name>, signal: AbortSignal): Promise<Answer<Rows[Name]>> {
  const { response, text } = await fetchWhenAllowed(query.url('records'), signal);
  const body = parse(text);
  if (!response.ok || !Array.isArray(body)) throw problem(response, body);
  const link = /<([^>]*)>;\s*rel="?next"?/.exec(response.headers.get('Link') ?? '')?.[1];
  const after = link ? new URL(link, response.url).searchParams.get('after') : null;
  return { rows: body, text, after, lag: lag(response.headers), user: response.headers.get('Signed-In-As') };
}

/** Uses the service's clock, since the reader's may be wrong. */
function lag(headers: Headers): Lag | null {
  const asOf = new Date(headers.get('Data-As-Of') ?? Number.NaN);
  const seconds = (Date.parse(headers.get('Date') ?? '') - asOf.getTime()) / 1000;
  return Number.isNaN(seconds) ? null : { asOf, seconds };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** Reads a problem document (RFC 9457), or whatever a proxy in between has answered. */
function problem(response: Response, body: unknown): Problem {
  const { title, detail, instance } = (body ?? {}) as { [name: string]: unknown };
  const requestId = String(instance ?? '').replace(/^urn:request:/, '') || response.headers.get('X-Request-Id');
  if (response.ok) return new Problem('Not understood', 'The answer is not a report.', requestId);
  return new Problem(
    String(title ?? (response.statusText || 'Error')),
    String(detail ?? `Status ${response.status}`),
    requestId,
    response.status,
  );
}
