// Numbers, dates and times in the reader's own format.
import { type Day, type Every, number, type Span, within } from './dates';

const integer = new Intl.NumberFormat();
const short = new Intl.NumberFormat(undefined, { notation: 'compact', maximumFractionDigits: 1 });
const shortest = new Intl.NumberFormat(undefined, { notation: 'compact', maximumSignificantDigits: 2 });
const fraction = new Intl.NumberFormat(undefined, { style: 'percent', maximumFractionDigits: 1 });
const signed = new Intl.NumberFormat(undefined, {
  style: 'percent',
  maximumFractionDigits: 1,
  signDisplay: 'exceptZero',
});

const utc = (options: Intl.DateTimeFormatOptions) =>
  new Intl.DateTimeFormat(undefined, { ...options, timeZone: 'UTC' });
const dates = utc({ day: 'numeric', month: 'short', year: 'numeric' });
const daysOfWeek = utc({ weekday: 'short', day: 'numeric', month: 'short', year: 'numeric' });
const dayMonths = utc({ day: 'numeric', month: 'short' });
const months = utc({ month: 'short' });
const monthYears = utc({ month: 'long', year: 'numeric' });
const years = utc({ year: 'numeric' });
const weekdays = { short: utc({ weekday: 'short' }), long: utc({ weekday: 'long' }) };
const hours = utc({ hour: 'numeric' });
const clockHours = utc({ timeStyle: 'short' });
const clock = new Intl.DateTimeFormat(undefined, { hour: 'numeric', minute: '2-digit', second: '2-digit' });
const dateAndClock = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium' });
const minutes = { hour: 'numeric', minute: '2-digit' } as const;
const clockMinutes = new Intl.DateTimeFormat(undefined, minutes);
const dateAndMinutes = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short', ...minutes });

const moment = (day: Day) => number(day) * 86_400_000;
const isToday = (moment: Date) => moment.toDateString() === new Date().toDateString();

export const count = (value: number) => integer.format(value);
export const compact = (value: number) => (value < 10_000 ? integer : short).format(value);
/** At most four characters or so. */
export const brief = (value: number) => (value < 1000 ? integer : shortest).format(value);
export const share = (part: number, whole: number) => (whole ? fraction.format(part / whole) : '–');
export const change = (now: number, past: number) => (past ? signed.format(now / past - 1) : null);

export const date = (day: Day) => dates.format(moment(day));
export const weekdayDate = (day: Day) => daysOfWeek.format(moment(day));
export const dayMonth = (day: Day) => dayMonths.format(moment(day));
export const month = (day: Day) => months.format(moment(day));
export const year = (day: Day) => years.format(moment(day));
export const range = (span: Span) => dates.formatRange(moment(span.from), moment(span.to));

/** A time; with its date unless that is today. */
export const time = (moment: Date) => (isToday(moment) ? clock : dateAndClock).format(moment);
/** The same without seconds and year. */
export const minute = (moment: Date) => (isToday(moment) ? clockMinutes : dateAndMinutes).format(moment);

/** A duration of at least a minute, in its largest whole unit. */
export function duration(seconds: number): string {
  const units = [['day', 86_400], ['hour', 3600], ['minute', 60]] as const;
  const [unit, length] = units.find((one) => seconds >= one[1]) ?? units[2];
  const many = Math.floor(seconds / length);
  return `${count(many)} ${unit}${many === 1 ? '' : 's'}`;
}

/** A weekday by its number: 1 is Monday. 1 January 2024 was one. */
export const weekday = (isoNumber: number, style: 'short' | 'long') =>
  weekdays[style].format(Date.UTC(2024, 0, isoNumber));
export function hourRange(ofDay: number): string {
  const [from, to] = [ofDay, ofDay + 1].map((hour) => clockHours.format(Date.UTC(2024, 0, 1, hour)));
  return `${from}–${to}`;
}

/** "9", and "AM" in locales with a 12-hour clock. */
export function hour(ofDay: number): { readonly number: string; readonly half: string } {
  const parts = hours.formatToParts(Date.UTC(2024, 0, 1, ofDay));
  const part = (type: string) => parts.find((one) => one.type === type)?.value ?? '';
  return { number: part('hour'), half: part('dayPeriod') };
}

/** What a bar stands for: a date, the part of a week that lies in the period, or a month. */
export function step(start: Day, every: Every, period: Span): string {
  const part = within(start, every, period);
  if (part.from === part.to) return weekdayDate(part.from);
  const whole = within(start, every, { from: start, to: '9999-12-31' });
  const isWholeMonth = every === 'month' && part.from === whole.from && part.to === whole.to;
  return isWholeMonth ? monthYears.format(moment(start)) : range(part);
}
