// A chart of numbers per day, week or month. uPlot draws it; this module sets its style, date axis and keys.
import uPlot from 'uplot';
import { add, type Day, type Every, floor, number, type Span, within } from './dates';
import { make } from './element';
import * as format from './format';

export interface Series {
  readonly label: string;
  readonly values: readonly number[];
  readonly color: string; // a custom property of style.css
  readonly isLine?: boolean;
}

export interface Plot {
  readonly every: Every;
  readonly period: Span;
  readonly starts: readonly Day[]; // of the days, weeks or months
  readonly series: readonly Series[];
  readonly note?: (index: number) => string; // an additional remark for one of them
}

const GAP = 64; // pixels from one date on the axis to the next
const EDGE = 20; // pixels from a date to the end of the axis
const THINNEST = { plain: 5, marked: 16 }; // pixels for a bar and its gap; with less, the chart is an area

const STEPS = [...Array(13).keys()].flatMap((power) => [1, 2, 5].map((n) => n * 10 ** power)); // from line to line
const WIDTH = 0.72; // of a bar, where the space to the next is 1

const color = (name: string) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const FONT = '12px Inter, system-ui, sans-serif';

/** Draws a short line across each bar's place, with an edge that keeps it apart from the bar. */
const marks: uPlot.Series.PathBuilder = (chart, series) => {
  const [stroke, fill] = [new Path2D(), new Path2D()];
  const edge = 2.5 * uPlot.pxRatio;
  chart.data[series]?.forEach((value, index) => {
    if (!value) return;
    const y = Math.round(chart.valToPos(value, 'y', true));
    const left = chart.valToPos(index - WIDTH / 2 - 0.06, 'x', true);
    const right = chart.valToPos(index + WIDTH / 2 + 0.06, 'x', true);
    stroke.moveTo(left, y);
    stroke.lineTo(right, y);
    fill.rect(left, y - edge, right - left, 2 * edge);
  });
  return { stroke, fill };
};

/** The middle of the bar under the mouse. */
function snap(chart: uPlot, left: number): number {
  if (left < 0) return left;
  const index = Math.round(chart.posToVal(left, 'x'));
  return Math.round(chart.valToPos(Math.min(Math.max(index, 0), chart.data[0].length - 1), 'x'));
}

type Unit = 'day' | 'month' | 'year';
interface Tick {
  readonly index: number;
  readonly label: string;
}

/** The first step of every so many months. */
const firstOf = (months: number) => (day: Day, previous: Day | undefined) => {
  const block = (date: Day) => Math.floor((Number(date.slice(0, 4)) * 12 + Number(date.slice(5, 7)) - 1) / months);
  return previous ? block(day) > block(previous) : day.endsWith('-01') && block(add(day, -1)) < block(day);
};
const isMonday = (day: Day) => floor(day, 'week') === day;

/** The steps that the axis may label, finest first. */
const SCALES: readonly [Unit, readonly Every[], (day: Day, previous: Day | undefined, index: number) => boolean][] = [
  ['day', ['day', 'week'], () => true],
  ['day', ['day', 'week'], (_, __, index) => index % 2 === 0],
  ['day', ['day'], isMonday],
  ['day', ['day'], (day) => isMonday(day) && number(day) % 2 === 0],
  ['month', ['day', 'week', 'month'], firstOf(1)],
  ['month', ['day', 'week', 'month'], firstOf(3)],
  ['year', ['day', 'week', 'month'], firstOf(12)],
  ['year', ['day', 'week', 'month'], firstOf(60)],
  ['year', ['day', 'week', 'month'], firstOf(240)],
];

/** The dates on the axis: as many as fit, with the year below the first date of each year. */
function ticks({ starts, every }: Plot, width: number): Tick[] {
  const room = width / starts.length; // of one step
  const isInside = (index: number) => (starts.length - index - 0.5) * room > EDGE;
  let [chosen, unit]: [number[], Unit] = [[], 'year'];
  for (const [name, everies, fits] of SCALES) {
    if (!everies.includes(every)) continue;
    unit = name;
    chosen = starts.flatMap((day, index) => (fits(day, starts[index - 1], index) && isInside(index) ? [index] : []));
    if (chosen.length * GAP <= width) break;
  }
  return chosen.map((index, place) => {
    const day = starts[index] ?? '';
    if (unit === 'year') return { index, label: format.year(day) };
    const label = unit === 'month' ? format.month(day) : format.dayMonth(day);
    const isSameYear = starts[chosen[place - 1] ?? -1]?.slice(0, 4) === day.slice(0, 4);
    return { index, label: isSameYear ? label : `${label}\n${format.year(day)}` };
  });
}

export class Chart {
  private readonly tip = make('div', { class: 'tip', 'aria-hidden': 'true', hidden: true });
  private plot: Plot | null = null;
  private drawn: uPlot | null = null;
  private index: number | null = null; // what the tip shows

  /** Draws into a host; a part of it that is marked with the mouse is passed to `select`. */
  constructor(
    private readonly host: HTMLElement,
    private readonly height: number,
    private readonly select: ((span: Span) => void) | null = null,
  ) {
    new ResizeObserver(() => {
      if (this.drawn?.width !== host.clientWidth) this.draw(); // the chart may become visible after it was drawn
    }).observe(host);
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.draw());
    host.addEventListener('keydown', (event) => this.onKey(event));
    host.addEventListener('blur', () => this.point(null));
  }

  show(plot: Plot): void {
    this.plot = plot;
    this.index = null;
    this.host.setAttribute('aria-valuemin', '1');
    this.host.setAttribute('aria-valuemax', String(Math.max(plot.starts.length, 1)));
    this.host.setAttribute('aria-valuenow', String(Math.max(plot.starts.length, 1)));
    this.host.setAttribute('aria-valuetext', this.describe(plot.starts.length - 1).join('; '));
    this.draw();
  }

  private draw(): void {
    const { plot, host } = this;
    const width = host.clientWidth;
    if (!plot || !width) return;
    const focused = this.index;
    this.drawn?.destroy();
    const count = plot.starts.length;
    const inner = width - 40; // about what the axis leaves
    const dates = ticks(plot, inner);
    const isMarked = plot.series.some((series) => series.isLine);
    const areBars = inner / count >= (isMarked ? THINNEST.marked : THINNEST.plain);
    const axis = { stroke: () => color('--muted'), font: FONT };
    const paths = {
      bars: uPlot.paths.bars?.({ size: [WIDTH, 48], radius: [0.1, 0] }),
      line: uPlot.paths.linear?.(),
    };
    this.drawn = new uPlot(
      {
        width,
        height: this.height,
        padding: [8, 4, 0, 0],
        legend: { show: false },
        cursor: {
          y: false,
          move: (drawn, left, top) => [snap(drawn, left), top],
          points: { size: 7 },
          drag: { x: this.select !== null, y: false, setScale: false },
        },
        scales: {
          x: { time: false, range: [-0.5, count - 0.5] },
          y: { range: (_, __, most) => [0, Math.max(most * 1.05, 4)] },
        },
        axes: [
          {
            ...axis,
            size: 44,
            gap: 6,
            grid: { show: false },
            ticks: { stroke: () => color('--line'), size: 5, width: 1 },
            splits: () => dates.map(({ index }) => index),
            values: () => dates.map(({ label }) => label),
          },
          {
            ...axis,
            size: (_, values) => 12 + 7.5 * Math.max(1, ...(values ?? []).map((value) => value.length)),
            gap: 8,
            grid: { stroke: () => color('--line'), width: 1 },
            ticks: { show: false },
            incrs: STEPS,
            space: 42,
            values: (_, splits) => splits.map((value) => format.compact(value)),
          },
        ],
        series: [
          {},
          ...plot.series.map(({ color: name, isLine }): uPlot.Series => {
            const stroke = () => color(name);
            const points = { show: false };
            if (isLine && areBars) return { paths: marks, fill: () => color('--surface'), stroke, width: 2, points };
            if (isLine) return { paths: paths.line!, stroke, width: 1.5, dash: [4, 3], points };
            if (areBars) return { paths: paths.bars!, fill: stroke, stroke, width: 0, points };
            const fill = isMarked ? () => `color-mix(in srgb, ${color(name)} 30%, transparent)` : stroke;
            return { paths: paths.line!, fill, stroke, width: 1.5, points };
          }),
        ],
        hooks: {
          setCursor: [(drawn) => this.showTip(drawn)],
          setSelect: [(drawn) => this.onSelect(drawn)],
        },
      },
      [plot.starts.map((_, index) => index), ...plot.series.map((series) => [...series.values])],
      host,
    );
    host.append(this.tip);
    this.tip.hidden = true;
    if (focused !== null && document.activeElement === host) this.point(focused);
  }

  /** What the chart says at one place: its date, then a line for each series. */
  private describe(index: number): string[] {
    const { plot } = this;
    const start = plot?.starts[index];
    if (!plot || !start) return [];
    const lines = plot.series.map(({ label, values }) => `${label} ${format.count(values[index] ?? 0)}`);
    const note = plot.note?.(index);
    return [format.step(start, plot.every, plot.period), ...lines, ...(note ? [note] : [])];
  }

  private showTip(drawn: uPlot): void {
    const { plot, tip } = this;
    const index = drawn.cursor.idx ?? null;
    const left = drawn.cursor.left ?? -1;
    this.index = left < 0 ? null : index;
    tip.hidden = this.index === null;
    const start = plot?.starts[this.index ?? -1];
    if (!plot || !start || this.index === null) return;
    const at = this.index;
    const note = plot.note?.(at);
    tip.replaceChildren(
      make('b', {}, format.step(start, plot.every, plot.period)),
      ...plot.series.map(({ label, values, color: name }) => {
        const value = make('b', {}, format.count(values[at] ?? 0));
        return make('span', {}, make('i', { class: `key ${name.slice(2)}` }), `${label} `, value);
      }),
      ...(note ? [make('span', { class: 'muted' }, note)] : []),
    );
    // Beside the cursor, on the side where there is room.
    const x = drawn.valToPos(at, 'x') + drawn.over.offsetLeft;
    const isRight = x + tip.offsetWidth + 16 > this.host.clientWidth;
    const shift = isRight ? Math.max(x - tip.offsetWidth - 12, 0) : x + 12;
    tip.style.transform = `translate(${Math.round(shift)}px, 8px)`;
  }

  private onSelect(drawn: uPlot): void {
    const { left, width } = drawn.select;
    const { plot } = this;
    if (!plot || width < 4) return;
    const last = plot.starts.length - 1;
    const place = (pixels: number) => Math.min(Math.max(Math.round(drawn.posToVal(pixels, 'x')), 0), last);
    const [first, end] = [plot.starts[place(left)], plot.starts[place(left + width)]];
    drawn.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    if (!first || !end) return;
    const { from } = within(first, plot.every, plot.period);
    const { to } = within(end, plot.every, plot.period);
    this.select?.({ from, to });
  }

  /** Moves the cursor to a place, or away. */
  private point(index: number | null): void {
    const { drawn, plot } = this;
    if (!drawn || !plot) return;
    if (index === null) {
      drawn.setCursor({ left: -10, top: -10 });
      return;
    }
    const at = Math.min(Math.max(index, 0), plot.starts.length - 1);
    drawn.setCursor({ left: drawn.valToPos(at, 'x'), top: 1 });
    this.host.setAttribute('aria-valuenow', String(at + 1));
    this.host.setAttribute('aria-valuetext', this.describe(at).join('; '));
  }

  private onKey(event: KeyboardEvent): void {
    const last = (this.plot?.starts.length ?? 0) - 1;
    const at = this.index ?? (event.key === 'ArrowRight' ? -1 : last + 1);
    const places: { [key: string]: number } = {
      ArrowLeft: at - 1,
      ArrowDown: at - 1,
      ArrowRight: at + 1,
      ArrowUp: at + 1,
      PageUp: at + 7,
      PageDown: at - 7,
      Home: 0,
      End: last,
    };
    const place = places[event.key];
    if (event.key === 'Escape') this.point(null);
    else if (place === undefined || event.ctrlKey || event.metaKey || event.altKey || last < 0) return;
    else this.point(place);
    event.preventDefault();
  }
}
