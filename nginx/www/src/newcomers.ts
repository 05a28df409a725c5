// Who joined, and how many of them are active today.
import { Query, type Rows } from './api';
import { Chart } from './chart';
import { steps } from './dates';
import * as format from './format';
import { Frame, type Get, type Panel } from './panel';
import type { Period, View } from './view';

export class Newcomers implements Panel {
  readonly frame = new Frame('newcomers');
  private readonly chart = new Chart(this.frame.find('.chart'), 324);

  async load(get: Get, _view: View, period: Period): Promise<() => void> {
    const { from, to, every } = period;
    const query = new Query('new_users', { from, to, every });
    const { rows } = await get(query);
    return () => {
      this.frame.offer(query);
      this.frame.empty = rows.length ? null : `Nobody joined from ${format.range(period)}.`;
      this.draw(rows, period);
    };
  }

  private draw(rows: readonly Rows['new_users'][], period: Period): void {
    const { every } = period;
    const starts = steps(period, every);
    const byDate = new Map(rows.map((row) => [row.date, row]));
    const joined = starts.map((start) => byDate.get(start)?.joined ?? 0);
    const active = starts.map((start) => byDate.get(start)?.active ?? 0);
    this.chart.show({
      every,
      period,
      starts,
      series: [
        { label: 'Joined', values: joined, color: '--soft' },
        { label: 'Active', values: active, color: '--accent' },
      ],
    });
    const sum = (values: readonly number[]) => format.count(values.reduce((total, value) => total + value, 0));
    this.frame.find('.joined').textContent = sum(joined);
    this.frame.find('.active').textContent = sum(active);
    this.frame.numbers = () => ({
      head: ['Date', 'Joined', 'Active'],
      rows: starts.map((start, index) => [
        format.step(start, every, period),
        format.count(joined[index] ?? 0),
        format.count(active[index] ?? 0),
      ]),
    });
  }
}
