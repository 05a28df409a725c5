// Asks the service for reports, and says what went wrong when it does not answer.
import type { Day, Every } from './dates';

/** The reports that the page shows, by name: what a row holds. */
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
    return `/api/reports/${this.report}?${search}`;
  }
}

export interface Answer<Row> {
  readonly rows: Row[];
  readonly text: string; // the rows as they came, which tells whether they changed
  readonly after: string | null; // what asks for the rows that follow
  readonly lag: Lag | null; // null where the service does not say
}

/** How far the database behind an answer was behind: the last change it can hold, and how long before the answer. */
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
  ) {
    super(title);
  }

  /** Whether it says the same, whatever the request. */
  isLike(other: Problem): boolean {
    return this.message === other.message && this.detail === other.detail;
  }
}

const PATIENCE = 70_000; // the service itself gives up after 60 s at most

/** The browser's cache sends the last answer's ETag along, and an unchanged report costs next to nothing. */
export async function ask<Name extends Report>(query: Query<Name>, signal: AbortSignal): Promise<Answer<Rows[Name]>> {
  let response: Response;
  let text: string;
  try {
    response = await fetch(query.url('records'), {
      cache: 'no-cache',
      signal: AbortSignal.any([signal, AbortSignal.timeout(PATIENCE)]),
    });
    text = await response.text();
  } catch (error) {
    if (signal.aborted) throw error;
    throw new Problem('No answer', 'The service cannot be reached from here.');
  }
  const body = parse(text);
  if (!response.ok || !Array.isArray(body)) throw problem(response, body);
  const link = /<([^>]*)>;\s*rel="?next"?/.exec(response.headers.get('Link') ?? '')?.[1];
  const after = link ? new URL(link, location.href).searchParams.get('after') : null;
  return { rows: body, text, after, lag: lag(response.headers) };
}

/** By the service's own clock: the reader's may be wrong. */
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

/** The worker's and nginx's problem documents (RFC 9457), or what else stands between them and us. */
function problem(response: Response, body: unknown): Problem {
  const { title, detail, instance } = (body ?? {}) as { [name: string]: unknown };
  const requestId = String(instance ?? '').replace(/^urn:request:/, '') || response.headers.get('X-Request-Id');
  if (response.ok) return new Problem('Not understood', 'The answer is no report.', requestId);
  return new Problem(
    String(title ?? (response.statusText || 'Error')),
    String(detail ?? `Status ${response.status}`),
    requestId,
  );
}
