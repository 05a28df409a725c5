// How many of the tokens asked for are used, and how soon.
import { Query, type Rows } from './api';
import { Chart } from './chart';
import { type Day, floor, steps } from './dates';
import { make } from './element';
import * as format from './format';
import { Frame, type Get, type Panel } from './panel';
import type { Period, View } from './view';

type Row = Rows['token_redemption'];
const COUNTS = [
  ['requested', 'Requested'],
  ['used', 'Used'],
  ['within_60_minutes', 'within 60 minutes'],
  ['within_15_minutes', 'within 15 minutes'],
  ['within_5_minutes', 'within 5 minutes'],
] as const;
type Count = (typeof COUNTS)[number][0] | 'used_before_request';

export class Redemption implements Panel {
  readonly frame = new Frame('redemption');
  private readonly chart = new Chart(this.frame.find('.chart'), 170);

  async load(get: Get, _view: View, period: Period): Promise<() => void> {
    const { from, to } = period;
    const query = new Query('token_redemption', { from, to });
    const { rows } = await get(query);
    return () => {
      this.frame.offer(query);
      this.frame.empty = rows.length ? null : `No tokens were asked for from ${format.range(period)}.`;
      this.draw(rows, period);
    };
  }

  private draw(rows: readonly Row[], period: Period): void {
    const { every } = period;
    const total = (name: Count, some: readonly Row[] = rows) => some.reduce((sum, row) => sum + row[name], 0);
    const requested = total('requested');
    this.frame.find('.steps tbody').replaceChildren(
      ...COUNTS.map(([name, label]) => {
        const value = total(name);
        const bar = make('span', { class: 'bar' });
        bar.style.setProperty('--share', String(requested ? value / requested : 0));
        return make('tr', { class: name.startsWith('within') ? 'part' : name },
          make('th', { scope: 'row' }, label), make('td', { class: 'drawn' }, bar),
          make('td', {}, format.count(value)), make('td', {}, format.share(value, requested)));
      }),
    );
    const early = total('used_before_request');
    this.frame.find('.early').textContent = early ? `${format.count(early)} were used before they were asked for.` : '';

    const starts = steps(period, every);
    const grouped = new Map<Day, Row[]>();
    for (const row of rows) {
      const start = floor(row.date, every);
      grouped.set(start, [...(grouped.get(start) ?? []), row]);
    }
    const values = (name: Count) => starts.map((start) => total(name, grouped.get(start) ?? []));
    const [asked, used] = [values('requested'), values('used')];
    this.chart.show({
      every,
      period,
      starts,
      series: [
        { label: 'Requested', values: asked, color: '--soft' },
        { label: 'Used', values: used, color: '--accent' },
      ],
      note: (index) => format.share(used[index] ?? 0, asked[index] ?? 0),
    });
    this.frame.numbers = () => {
      const soon = [...COUNTS].slice(2).map(([name]) => values(name));
      return {
        head: ['Date', ...COUNTS.map(([, label]) => label)],
        rows: starts.map((start, index) => [
          format.step(start, every, period),
          ...[asked, used, ...soon].map((column) => format.count(column[index] ?? 0)),
        ]),
      };
    };
  }
}
