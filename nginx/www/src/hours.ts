// Visits by weekday and hour, as a heat map.
import { Query, type Rows } from './api';
import { make } from './element';
import * as format from './format';
import { Frame, type Get, type Panel } from './panel';
import type { Period, View } from './view';

const WEEKDAYS = [1, 2, 3, 4, 5, 6, 7];
const HOURS = [...Array(24).keys()];

export class Hours implements Panel {
  readonly frame = new Frame('hours');

  private readonly line = this.frame.find('.busiest');
  private busiest = '';

  constructor() {
    const heat = this.frame.find('.heat');
    heat.addEventListener('pointerover', (event) => {
      const cell = event.target instanceof Element && event.target.closest<HTMLElement>('td[title]');
      this.line.textContent = cell ? cell.title : this.busiest;
    });
    heat.addEventListener('pointerleave', () => {
      this.line.textContent = this.busiest;
    });
  }

  async load(get: Get, _view: View, { from, to }: Period): Promise<() => void> {
    const query = new Query('hourly_usage', { from, to });
    const { rows } = await get(query);
    return () => {
      this.frame.offer(query);
      this.frame.empty = rows.length ? null : `No visits from ${format.range({ from, to })}.`;
      this.draw(rows);
    };
  }

  private draw(rows: readonly Rows['hourly_usage'][]): void {
    const most = Math.max(0, ...rows.map((row) => row.visits));
    const visits = new Map(rows.map((row) => [row.weekday * 24 + row.hour, row.visits]));
    const busiest = rows.find((row) => row.visits === most);
    this.busiest = busiest
      ? `Busiest: ${format.weekday(busiest.weekday, 'long')}, ${format.hourRange(busiest.hour)}`
      : '';
    this.line.textContent = this.busiest;
    const place = <Cell extends HTMLElement>(cell: Cell, weekday: number, hour: number): Cell => {
      cell.style.setProperty('--weekday', String(weekday));
      cell.style.setProperty('--hour', String(hour + 1));
      return cell;
    };
    this.frame.find('.heat').replaceChildren(
      make('thead', { role: 'rowgroup' },
        make('tr', { role: 'row' }, place(make('td', { role: 'cell' }), 0, -1),
          ...HOURS.map((hour) => {
            const { number, half } = format.hour(hour);
            const below = half ? [make('small', {}, half)] : [];
            return place(make('th', { role: 'columnheader', scope: 'col' }, number, ...below), 0, hour);
          }))),
      make('tbody', { role: 'rowgroup' },
        ...WEEKDAYS.map((weekday) => make('tr', { role: 'row' },
          place(make('th', { role: 'rowheader', scope: 'row' }, format.weekday(weekday, 'short')), weekday, -1),
          ...HOURS.map((hour) => {
            const value = visits.get(weekday * 24 + hour) ?? 0;
            const title = `${format.weekday(weekday, 'long')}, ${format.hourRange(hour)}: ${format.count(value)}`;
            const cell = place(make('td', { role: 'cell', title }, ...this.write(value)), weekday, hour);
            cell.style.setProperty('--share', String(most ? value / most : 0));
            return cell;
          })))),
    );
  }

  /** A number short enough for a cell; screen readers get all of it. */
  private write(value: number): (Node | string)[] {
    const [brief, whole] = [format.brief(value), format.count(value)];
    if (!value || brief === whole) return [value ? whole : ''];
    return [make('span', { 'aria-hidden': 'true' }, brief), make('span', { class: 'hidden' }, whole)];
  }
}
