// Calendar dates in the reports' format. They are not points in time: no time zone may shift them.

export type Day = string; // YYYY-MM-DD
export type Every = 'day' | 'week' | 'month';
export interface Span {
  readonly from: Day;
  readonly to: Day; // inclusive
}

const MILLISECONDS = 86_400_000;
const FIRST = number('0001-01-01');
const LAST = number('9999-12-31');

/** Days since 1970, or NaN if the text is not a date. */
export function number(day: Day): number {
  return /^\d{4}-\d\d-\d\d$/.test(day) ? Date.parse(`${day}T00:00Z`) / MILLISECONDS : Number.NaN;
}

function day(days: number): Day {
  return new Date(days * MILLISECONDS).toISOString().slice(0, 10);
}

/** Whether the calendar has this date: it has no 2026-02-30. */
export function isDay(text: string): boolean {
  const days = number(text);
  return !Number.isNaN(days) && day(days) === text;
}

export function add(date: Day, days: number): Day {
  return day(Math.min(Math.max(number(date) + days, FIRST), LAST));
}

export function length(span: Span): number {
  return number(span.to) - number(span.from) + 1;
}

/** The span of equal length that ends the day before; null if it would begin before the year 1. */
export function before(span: Span): Span | null {
  const from = number(span.from) - length(span);
  return from >= FIRST ? { from: day(from), to: add(span.from, -1) } : null;
}

/** The first day of the week (a Monday) or month that holds a day. */
export function floor(date: Day, every: Every): Day {
  if (every === 'month') return `${date.slice(0, 8)}01`;
  return every === 'week' ? add(date, -((((number(date) + 3) % 7) + 7) % 7)) : date;
}

/** The first day of the next day, week or month. */
export function next(start: Day, every: Every): Day {
  return every === 'month' ? floor(add(start, 31), every) : add(start, every === 'week' ? 7 : 1);
}

/** The starts of all days, weeks or months that a span touches. */
export function steps(span: Span, every: Every): Day[] {
  const starts: Day[] = [];
  for (let at = floor(span.from, every); at <= span.to && at !== starts.at(-1); at = next(at, every)) starts.push(at);
  return starts;
}

/** The days of a step that lie in a span. */
export function within(start: Day, every: Every, span: Span): Span {
  const end = add(next(start, every), -1);
  return { from: start < span.from ? span.from : start, to: end > span.to ? span.to : end };
}
