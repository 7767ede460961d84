// Spans and moments as people say them. `now` is always an argument.

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** `20 s`, `14 min`, `1 h 06`, `3 h`, `2 d`; empty where there is no moment to count from. */
export function since(time: string | undefined, now: number): string {
  const at = time === undefined ? NaN : Date.parse(time);
  return Number.isNaN(at) ? '' : span(now - at);
}

export function span(ms: number): string {
  const left = Math.max(0, ms);
  if (left < MINUTE) return `${Math.floor(left / 1000)} s`;
  if (left < HOUR) return `${Math.floor(left / MINUTE)} min`;
  if (left < 10 * HOUR) {
    const minutes = Math.floor((left % HOUR) / MINUTE);
    return `${Math.floor(left / HOUR)} h${minutes > 0 ? ` ${String(minutes).padStart(2, '0')}` : ''}`;
  }
  if (left < 2 * DAY) return `${Math.floor(left / HOUR)} h`;
  return `${Math.floor(left / DAY)} d`;
}

/** The same for places where a column is 30 px wide: `20s`, `14m`, `1h`, `2d`. */
export function brief(time: string | undefined, now: number): string {
  const at = time === undefined ? NaN : Date.parse(time);
  if (Number.isNaN(at)) return '';
  const left = Math.max(0, now - at);
  if (left < MINUTE) return `${Math.floor(left / 1000)}s`;
  if (left < HOUR) return `${Math.floor(left / MINUTE)}m`;
  if (left < 2 * DAY) return `${Math.floor(left / HOUR)}h`;
  return `${Math.floor(left / DAY)}d`;
}

/** Wall-clock time of day, in the reader's own time zone. */
export function clock(at: number | string, seconds = false): string {
  return new Date(at).toLocaleTimeString(undefined, {
    hour: '2-digit',
    minute: '2-digit',
    hour12: false,
    ...(seconds ? { second: '2-digit' } : {}),
  });
}

/** The whole moment, for titles. */
export function moment(time: string | undefined): string {
  return time === undefined ? '' : new Date(time).toLocaleString();
}
