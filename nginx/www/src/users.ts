// The users with the most tokens of all time, a page at a time.
import { Query, type Rows } from './api';
import { make } from './element';
import * as format from './format';
import { Frame, type Get, type Panel } from './panel';
import type { View } from './view';

const LIMIT = 10;

export class Users implements Panel {
  readonly frame = new Frame('users');
  private readonly first = this.frame.find<HTMLAnchorElement>('a.first');
  private readonly next = this.frame.find<HTMLAnchorElement>('a.next');

  /** `link` makes the address of the page that begins after a user. */
  constructor(private readonly link: (after: string) => string) {}

  async load(get: Get, view: View): Promise<() => void> {
    const query = new Query('user_visits', { order: 'visits', limit: LIMIT, after: view.after });
    // Later pages have the same scale as the first.
    const top = view.after ? get(new Query('user_visits', { order: 'visits', limit: 1 })) : null;
    const [{ rows, after }, most] = await Promise.all([get(query), top]);
    return () => {
      this.frame.offer(query);
      this.frame.empty = rows.length ? null : view.after ? 'No more users.' : 'No user has asked for a token.';
      this.turn(this.first, view.after ? '' : null);
      const isAtNext = document.activeElement === this.next;
      this.turn(this.next, after);
      if (isAtNext && after === null) this.first.focus(); // else the focus would be lost
      this.draw(rows, (most?.rows ?? rows)[0]?.visits ?? 0);
    };
  }

  private turn(anchor: HTMLAnchorElement, after: string | null): void {
    if (after === null) anchor.removeAttribute('href');
    else anchor.href = this.link(after);
    anchor.setAttribute('aria-disabled', String(after === null));
  }

  private draw(rows: readonly Rows['user_visits'][], most: number): void {
    this.frame.find('tbody').replaceChildren(
      ...rows.map((row) => {
        const bar = make('span', { class: 'bar' });
        bar.style.setProperty('--share', String(most ? row.visits / most : 0));
        const joined = row.joined_at ? format.date(row.joined_at.slice(0, 10)) : 'unknown';
        return make('tr', {},
          make('th', { scope: 'row' }, String(row.user_id)), make('td', {}, joined),
          make('td', { class: 'drawn' }, bar), make('td', {}, format.count(row.visits)));
      }),
    );
  }
}
