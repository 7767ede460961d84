// What a terminal answers by itself. Several viewers watch one program, so no viewer may answer its questions: the host's
// own screen does. Every query is swallowed before xterm sees it, and what still looks like a report is not sent.

import type { IDisposable, Terminal } from '@xterm/xterm';

export function silence(terminal: Terminal): IDisposable {
  const swallow = () => true;
  const { parser } = terminal;
  const hooks = [
    parser.registerCsiHandler({ final: 'c' }, swallow), // DA1
    parser.registerCsiHandler({ prefix: '>', final: 'c' }, swallow), // DA2
    parser.registerCsiHandler({ prefix: '=', final: 'c' }, swallow), // DA3
    parser.registerCsiHandler({ final: 'n' }, swallow), // DSR, CPR
    parser.registerCsiHandler({ prefix: '?', final: 'n' }, swallow), // DECXCPR and its like
    parser.registerCsiHandler({ prefix: '>', final: 'q' }, swallow), // XTVERSION
    parser.registerCsiHandler({ intermediates: '$', final: 'p' }, swallow), // DECRQM
    parser.registerCsiHandler({ prefix: '?', intermediates: '$', final: 'p' }, swallow), // DECRQM, private
    parser.registerCsiHandler({ prefix: '?', final: 'u' }, swallow), // keyboard protocol query
    parser.registerCsiHandler({ final: 't' }, (params) => asksForReport(params[0])), // window reports; titles are still pushed
    parser.registerDcsHandler({ intermediates: '$', final: 'q' }, swallow), // DECRQSS
    parser.registerDcsHandler({ intermediates: '+', final: 'q' }, swallow), // XTGETTCAP
    ...[4, 10, 11, 12].map((osc) => parser.registerOscHandler(osc, (data) => data.split(';').includes('?'))), // colours
    parser.registerOscHandler(52, swallow), // clipboard: an agent does not read or write the viewer's
    parser.registerEscHandler({ final: 'Z' }, swallow), // DECID
  ];
  return { dispose: () => hooks.forEach((h) => h.dispose()) };
}

function asksForReport(param: number | number[] | undefined): boolean {
  const op = typeof param === 'number' ? param : param?.[0];
  return op !== undefined && op >= 11 && op <= 21;
}

/** Focus reports come from looking, not from typing. */
export function isReport(data: string): boolean {
  return data === '\x1b[I' || data === '\x1b[O';
}
