// The view: what the address bar says to show, and the dates that this means for the available data.
import { add, before, type Day, type Every, length, type Span } from './dates';

export const PRESETS = ['7', '30', '90', '365', 'all'] as const;
export type Preset = (typeof PRESETS)[number];
const DEFAULT: Preset = '30';
const MOST_DAYS = 40_000; // to draw one by one

export interface View {
  readonly range: Preset | Span;
  readonly every: Every | null; // null: whatever suits the range
  readonly compare: boolean;
  readonly after: string; // where the page of users begins; empty for the first
}

/** A view's dates. */
export interface Period extends Span {
  readonly every: Every;
  readonly before: Span | null; // what it is compared with
}

const isOneOf = <T extends string>(value: string | null, ...all: readonly T[]): value is T =>
  all.includes(value as T);

export function read(search: string): View {
  const parameters = new URLSearchParams(search);
  const [from, to] = [parameters.get('from'), parameters.get('to')];
  const days = parameters.get('days');
  const every = parameters.get('every');
  return {
    range: from && to ? { from, to } : isOneOf(days, ...PRESETS) ? days : DEFAULT,
    every: isOneOf(every, 'day', 'week', 'month') ? every : null,
    compare: parameters.get('compare') !== 'no',
    after: parameters.get('after') ?? '',
  };
}

export function write(view: View): string {
  const parameters = new URLSearchParams();
  if (typeof view.range !== 'string') {
    parameters.set('from', view.range.from);
    parameters.set('to', view.range.to);
  } else if (view.range !== DEFAULT) {
    parameters.set('days', view.range);
  }
  if (view.every) parameters.set('every', view.every);
  if (!view.compare) parameters.set('compare', 'no');
  if (view.after) parameters.set('after', view.after);
  const search = parameters.toString();
  return search ? `?${search}` : location.pathname;
}

/** The dates of a view: presets end on the data's newest day; "all" begins on its oldest. */
export function resolve(view: View, newest: Day, oldest: Day): Period {
  let span: Span;
  if (typeof view.range !== 'string') span = view.range;
  else if (view.range === 'all') span = { from: oldest, to: newest };
  else span = { from: add(newest, 1 - Number(view.range)), to: newest };
  const days = length(span);
  const suited = days > 730 ? 'month' : days > 120 ? 'week' : 'day';
  // In an address that someone types, the dates may be millennia apart.
  const every = days > MOST_DAYS ? suited : (view.every ?? suited);
  const isSound = days > 0;
  return { ...span, every, before: isSound && view.range !== 'all' ? before(span) : null };
}
