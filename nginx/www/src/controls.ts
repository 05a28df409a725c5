// The controls: range, dates, steps, comparison.
import { type Day, type Every, isDay, number } from './dates';
import { find } from './element';
import { type Period, PRESETS, type View, write } from './view';

const TYPING = 600; // milliseconds: someone who types 2024 enters the years 2, 20 and 202 on the way

export class Controls {
  onChange: (view: View) => void = () => {};
  private view: View | null = null;
  private readonly from = find<HTMLInputElement>('#from');
  private readonly to = find<HTMLInputElement>('#to');
  private readonly compare = find<HTMLInputElement>('#compare');
  private timer = 0;

  constructor() {
    for (const input of [this.from, this.to]) {
      input.addEventListener('input', () => {
        clearTimeout(this.timer);
        this.timer = window.setTimeout(() => this.readDates(), TYPING);
      });
    }
    this.compare.addEventListener('change', () => {
      if (this.view) this.onChange({ ...this.view, compare: this.compare.checked });
    });
  }

  /** Shows a view, and its dates once they are known. */
  show(view: View, period: Period | null): void {
    this.view = view;
    this.compare.checked = view.compare;
    for (const preset of PRESETS) this.link(`#range-${preset}`, { ...view, range: preset }, view.range === preset);
    for (const every of ['day', 'week', 'month'] satisfies Every[]) {
      this.link(`#every-${every}`, { ...view, every }, (period?.every ?? view.every) === every);
    }
    const span = period ?? (typeof view.range === 'string' ? null : view.range);
    const isTyping = document.activeElement === this.from || document.activeElement === this.to;
    if (!span || (isTyping && this.timer)) return;
    this.compare.disabled = period !== null && period.before === null;
    this.fill(this.from, span.from);
    this.fill(this.to, span.to);
    this.complain('');
  }

  private fill(input: HTMLInputElement, date: Day): void {
    const value = isDay(date) ? date : '';
    if (input.value !== value) input.value = value;
  }

  private link(selector: string, view: View, isCurrent: boolean): void {
    const anchor = find<HTMLAnchorElement>(selector);
    anchor.href = write(view);
    if (isCurrent) anchor.setAttribute('aria-current', 'true');
    else anchor.removeAttribute('aria-current');
  }

  private readDates(): void {
    this.timer = 0;
    const [from, to] = [this.from.value, this.to.value];
    if (!this.view || !this.from.validity.valid || !this.to.validity.valid || !from || !to) return;
    if (number(from) > number(to)) {
      this.complain('The first day is after the last.');
      return;
    }
    this.complain('');
    this.onChange({ ...this.view, range: { from, to } });
  }

  private complain(sentence: string): void {
    find('#dates-problem').textContent = sentence;
    for (const input of [this.from, this.to]) input.setAttribute('aria-invalid', String(sentence !== ''));
  }
}
