// The top of the page: three figures, compared with the period before.
import { Query, type Rows } from './api';
import { before } from './dates';
import { make } from './element';
import * as format from './format';
import { Frame, type Get, type Panel } from './panel';
import type { Period, View } from './view';

export class Summary implements Panel {
  readonly frame = new Frame('summary');

  async load(get: Get, _view: View, { from, to, before: past }: Period): Promise<() => void> {
    const query = new Query('summary', { from, to });
    const earlier = past && get(new Query('daily_usage', { to: past.from, every: 'month' }));
    const [{ rows }, older] = await Promise.all([get(query), earlier]);
    return () => {
      this.frame.offer(query);
      this.frame.empty = null;
      const [row] = rows;
      if (row) this.draw(row, past !== null, older?.rows.length === 0 && row.previous_visits > 0);
    };
  }

  /** A period before that began without visits explains a growth beyond belief: `isYoung`. */
  private draw(row: Rows['summary'], isCompared: boolean, isYoung: boolean): void {
    const past = before(row);
    const figures = [
      ['visits', row.visits, row.previous_visits],
      ['requested', row.requested, row.previous_requested],
      ['new-users', row.new_users, row.previous_new_users],
    ] as const;
    for (const [name, now, then] of figures) {
      const change = format.change(now, then);
      this.frame.find(`.${name} .value`).textContent = format.count(now);
      this.frame.find(`.${name} .change`).replaceChildren(
        ...(isCompared && past
          ? now === then
            ? ['As before']
            : [make('b', { class: now > then ? 'up' : 'down' }, change ?? 'New'), ` from ${format.count(then)}`]
          : []),
      );
    }
    this.frame.find('.compared').textContent =
      isCompared && past
        ? `Compared with the period before, ${format.range(past)}${isYoung ? ', when the first visits were' : ''}`
        : 'All there is: nothing to compare it with';
  }
}
