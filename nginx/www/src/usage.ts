// Visits over time, beside those of the period before.
import { Query, type Rows } from './api';
import { Chart } from './chart';
import { add, type Day, type Every, floor, length, type Span, steps, within } from './dates';
import * as format from './format';
import { Frame, type Get, type Panel } from './panel';
import type { Period, View } from './view';

type Row = Rows['daily_usage'];

/** Moves each day of the period before to its place in this one, so that steps of both have the same number of days. */
function align(rows: readonly Row[], period: Period, starts: readonly Day[]): number[] {
  const sums = new Map<Day, number>();
  for (const { date, visits } of rows) {
    const start = floor(add(date, length(period)), period.every);
    sums.set(start, (sums.get(start) ?? 0) + visits);
  }
  return starts.map((start) => sums.get(start) ?? 0);
}

const TITLES: { readonly [every in Every]: string } = {
  day: 'Visits per day',
  week: 'Visits per week',
  month: 'Visits per month',
};

export class Usage implements Panel {
  readonly frame = new Frame('usage');
  private readonly chart: Chart;

  constructor(select: (span: Span) => void) {
    this.chart = new Chart(this.frame.find('.chart'), 300, select);
  }

  async load(get: Get, view: View, period: Period): Promise<() => void> {
    const { from, to, every, before } = period;
    const query = new Query('daily_usage', { from, to, every });
    const past = view.compare && before ? new Query('daily_usage', before) : null;
    const [now, then] = await Promise.all([get(query), past && get(past)]);
    return () => {
      this.frame.offer(query);
      this.frame.find('h2').textContent = TITLES[every];
      const extra = this.frame.find<HTMLAnchorElement>('a.csv-before');
      extra.hidden = !past;
      if (past) extra.href = past.url('csv');
      this.frame.find('.legend').hidden = !past;
      this.draw(now.rows, then?.rows ?? null, period);
    };
  }

  private draw(rows: readonly Row[], past: readonly Row[] | null, period: Period): void {
    const { every, before } = period;
    const starts = steps(period, every);
    const visits = new Map(rows.map((row) => [row.date, row.visits]));
    const now = starts.map((start) => visits.get(start) ?? 0);
    const then = past && align(past, period, starts);
    const isEmpty = rows.length === 0 && !past?.length;
    this.frame.empty = isEmpty ? `No visits from ${format.range(period)}.` : null;

    const compared = (index: number): Span | null => {
      const start = starts[index];
      if (!before || !start) return null;
      const part = within(start, every, period);
      return { from: add(part.from, -length(period)), to: add(part.to, -length(period)) };
    };
    const series = [{ label: 'Visits', values: now, color: '--accent' }];
    this.chart.show({
      every,
      period,
      starts,
      series: then ? [...series, { label: 'Period before', values: then, color: '--past', isLine: true }] : series,
      note: (index) => {
        const span = then && compared(index);
        return span ? `before: ${format.range(span)}` : '';
      },
    });
    this.frame.numbers = () => ({
      head: ['Date', 'Visits', ...(then ? ['Dates before', 'Visits before'] : [])],
      rows: starts.map((start, index) => {
        const span = then && compared(index);
        return [
          format.step(start, every, period),
          format.count(now[index] ?? 0),
          ...(span && then ? [format.range(span), format.count(then[index] ?? 0)] : []),
        ];
      }),
    });
  }
}
