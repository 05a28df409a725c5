// The page: shows the view in the address bar, and keeps it up to date while it is visible.
import { type Answer, ask as askService, type Lag, Problem, Query, type Report, type Rows } from './api';
import { Controls } from './controls';
import type { Day, Span } from './dates';
import { find, make } from './element';
import * as format from './format';
import { Hours } from './hours';
import { Newcomers } from './newcomers';
import { explain, type Get, type Panel } from './panel';
import { Redemption } from './redemption';
import { Summary } from './summary';
import { Usage } from './usage';
import { Users } from './users';
import { type Period, read, resolve, type View, write } from './view';

const PAUSE = 30_000; // between two updates
const LONGEST_PAUSE = 300_000; // while there is no answer
const LONGEST_LAG = 60; // seconds of replication lag that the page does not mention

const TITLE = document.title;

let view: View = read(location.search);
let running = new AbortController();
let timer = 0;
let failures = 0;
let lastLook = 0; // when the last update ended
let updated: Date | null = null; // when the last successful update ended
let lag: Lag | null = null; // the longest lag among its answers
let longestLag: Lag | null = null; // the longest lag so far in the update under way
let user: string | null = null; // whose session it is, or was until it ended
let hasEnded = false; // the session

const users = new Users((after) => write({ ...view, after }));
const panels: Panel[] = [new Summary(), new Usage(goToSpan), new Hours(), users, new Redemption(), new Newcomers()];
const drawn = new Map<Panel, string>(); // what a panel shows: its queries and their answers
const controls = new Controls();
const banner = find('#banner');

function goToSpan(range: Span): void {
  go({ ...view, range });
}

/** Shows another view; the back button returns to this one. */
function go(to: View): void {
  history.pushState(null, '', write(to));
  view = to;
  void look();
}

/** Requests all reports of the view, redraws what changed, and schedules the next update. */
async function look(): Promise<void> {
  running.abort();
  running = new AbortController();
  const { signal } = running;
  clearTimeout(timer);
  controls.show(view, null);
  document.body.classList.add('is-reading');
  longestLag = null;
  let problem: Problem | null;
  try {
    problem = await readAll(signal);
  } catch (error) {
    if (signal.aborted) return; // a newer update has replaced this one
    if (!(error instanceof Problem)) reportError(error);
    problem = error instanceof Problem ? error : new Problem('Error in this page', String(error));
    for (const { frame } of panels) frame.problem = null; // the banner says it for all
  }
  document.body.classList.remove('is-reading');
  for (const { frame } of panels) frame.isBusy = false;
  failures = problem ? failures + 1 : 0;
  lastLook = Date.now();
  if (!problem) [updated, lag] = [new Date(), longestLag];
  report(problem);
  plan();
}

/** Returns a problem of some of the panels; throws one that all of them have. */
async function readAll(signal: AbortSignal): Promise<Problem | null> {
  const { rows, user: name } = await ask(new Query('summary'), signal);
  showUser(name);
  const newest = rows[0]?.to;
  document.body.classList.toggle('has-no-data', newest === undefined);
  find('#newest').textContent = newest ? format.date(newest) : '–';
  if (!newest) {
    drawn.clear();
    return null;
  }
  const period = resolve(view, newest, view.range === 'all' ? await findOldest(newest, signal) : newest);
  controls.show(view, period);
  // The top of the page loads first.
  const problems: (Problem | null)[] = [];
  for (const some of [panels.slice(0, 2), panels.slice(2)]) {
    problems.push(...(await Promise.all(some.map((panel) => readPanel(panel, period, signal)))));
  }
  signal.throwIfAborted();
  const found = problems.flatMap((problem) => problem ?? []);
  const [first] = found;
  if (first && found.length > 1 && found.every((problem) => problem.isLike(first))) throw first;
  document.title = `${format.range(period)} · ${TITLE}`;
  panels.forEach((panel, index) => {
    panel.frame.problem = problems[index] ?? null;
  });
  return first ?? null;
}

async function findOldest(newest: Day, signal: AbortSignal): Promise<Day> {
  const [tokens, joined] = await Promise.all([
    ask(new Query('token_redemption'), signal),
    ask(new Query('new_users'), signal),
  ]);
  return [newest, tokens.rows[0]?.date ?? newest, joined.rows[0]?.date ?? newest].reduce((a, b) => (a < b ? a : b));
}

/** Shows who is signed in, with a way to sign out. */
function showUser(name: string | null): void {
  user = name;
  find('#user').textContent = name ?? '';
}

/** Requests a report, and notes the lag of the answer. */
async function ask<Name extends Report>(query: Query<Name>, signal: AbortSignal): Promise<Answer<Rows[Name]>> {
  const answer = await askService(query, signal);
  signal.throwIfAborted();
  if (answer.lag && answer.lag.seconds > (longestLag?.seconds ?? 0)) longestLag = answer.lag;
  return answer;
}

async function readPanel(panel: Panel, period: Period, signal: AbortSignal): Promise<Problem | null> {
  const seen: string[] = [JSON.stringify(period)];
  const get: Get = async <Name extends Report>(query: Query<Name>) => {
    const place = seen.push('') - 1; // answers may arrive in any order
    const answer = await ask(query, signal);
    seen[place] = `${query.url('records')} ${answer.text}`;
    return answer as Answer<never>;
  };
  try {
    panel.frame.isBusy = true;
    const draw = await panel.load(get, view, period);
    signal.throwIfAborted();
    const now = seen.join('\n');
    if (drawn.get(panel) !== now) draw();
    drawn.set(panel, now);
    panel.frame.isBusy = false;
    performance.mark(`drawn:${panel.frame.section.id}`);
    return null;
  } catch (error) {
    if (error instanceof Problem) return error;
    throw error;
  }
}

/** Shows when the data was read, or why it could not be updated. */
function report(problem: Problem | null): void {
  find('#updated').textContent = updated ? format.time(updated) : '–';
  reportLag();
  banner.hidden = !problem;
  hasEnded = user !== null && problem?.status === 401;
  find('#account').hidden = user === null || hasEnded;
  document.body.classList.toggle('has-problem', problem !== null);
  if (!problem) return;
  const kept = updated ? ` You see the data of ${format.time(updated)}.` : ' There is nothing to show yet.';
  const headline = make('b', {}, hasEnded ? 'Your session has ended. ' : updated ? 'Not up to date. ' : 'No data. ');
  const words = hasEnded ? [make('a', { href: location.href }, 'Sign in'), ' to go on.'] : explain(problem);
  find('p', banner).replaceChildren(headline, ...words, kept);
}

/** Screen readers read out a new sentence, but not a change of its numbers. */
function reportLag(): void {
  const line = find('#behind');
  if (!lag || lag.seconds < LONGEST_LAG) {
    line.replaceChildren();
    return;
  }
  if (!line.firstElementChild) line.append(make('span'));
  find('span', line).textContent =
    `The data is ${format.duration(lag.seconds)} old, as of ${format.minute(lag.asOf)}.`;
}

/** Schedules the next update: only while the page is visible, and less often while there is no answer. */
function plan(): void {
  clearTimeout(timer);
  if (document.hidden) return;
  const pause = Math.min(PAUSE * 2 ** Math.max(failures - 1, 0), LONGEST_PAUSE) * (0.95 + Math.random() / 10);
  timer = window.setTimeout(() => void look(), Math.max(lastLook + pause - Date.now(), 0));
}

// Links within the page change the view without a reload.
document.addEventListener('click', (event) => {
  const anchor = event.target instanceof Element && event.target.closest<HTMLAnchorElement>('a.view[href]');
  if (!anchor || event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  go(read(new URL(anchor.href).search));
});
controls.onChange = go;
find('button', banner).addEventListener('click', () => void look());
window.addEventListener('popstate', () => {
  view = read(location.search);
  void look();
});
document.addEventListener('visibilitychange', () => {
  if (hasEnded && !document.hidden) lastLook = 0; // the reader may have signed in in another tab
  plan();
});
window.addEventListener('online', () => void look());

void look();
