// What all panels share: a place for the chart, a table of its numbers, and download links.
import { type Answer, type Problem, Query, type Report, type Rows } from './api';
import { find, make } from './element';
import type { Period, View } from './view';

/** Requests a report. A panel is redrawn only if its rows have changed. */
export type Get = <Name extends Report>(query: Query<Name>) => Promise<Answer<Rows[Name]>>;

export interface Panel {
  readonly frame: Frame;
  /** Requests the reports of a view; resolves to a function that draws them. */
  load(get: Get, view: View, period: Period): Promise<() => void>;
}

export interface Table {
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[]; // the first cell names the row
}

/** A section of index.html. */
export class Frame {
  readonly section: HTMLElement;
  private readonly details: HTMLDetailsElement | null;
  private table: (() => Table) | null = null;

  constructor(id: string) {
    this.section = find(`#${id}`);
    this.details = this.section.querySelector('details');
    this.details?.addEventListener('toggle', () => this.fillTable());
  }

  find<Kind extends Element = HTMLElement>(selector: string): Kind {
    return find<Kind>(selector, this.section);
  }

  set isBusy(is: boolean) {
    this.section.setAttribute('aria-busy', String(is));
  }

  /** The sentence to show in place of an empty chart; null if there is something to draw. */
  set empty(sentence: string | null) {
    const note = this.find('.empty');
    this.section.classList.remove('unread');
    this.section.classList.toggle('is-empty', sentence !== null);
    note.textContent = sentence ?? '';
  }

  /** Why the panel could not be brought up to date. */
  set problem(problem: Problem | null) {
    const note = this.find('.problem');
    note.hidden = problem === null;
    note.replaceChildren(...(problem ? explain(problem) : []));
  }

  /** Links to what it shows. */
  offer(query: Query): void {
    this.find<HTMLAnchorElement>('a.csv').href = query.url('csv');
    this.find<HTMLAnchorElement>('a.request').href = query.url('records');
  }

  /** The numbers as a table, made when it is opened. */
  set numbers(table: () => Table) {
    this.table = table;
    this.fillTable();
  }

  private fillTable(): void {
    if (!this.details?.open || !this.table) return;
    const { head, rows } = this.table();
    find('.scroll', this.details).replaceChildren(
      make(
        'table',
        {},
        make('thead', {}, make('tr', {}, ...head.map((name) => make('th', { scope: 'col' }, name)))),
        make('tbody', {}, ...rows.map(([name = '', ...cells]) =>
          make('tr', {}, make('th', { scope: 'row' }, name), ...cells.map((cell) => make('td', {}, cell))))),
      ),
    );
  }
}

/** A problem in words, with the request id for support. */
export function explain(problem: Problem): (Node | string)[] {
  const words = `${problem.message}: ${problem.detail}`.replace(/[^.]$/, '$&.');
  return problem.requestId ? [`${words} Request `, make('code', {}, problem.requestId), '.'] : [words];
}
