// The terminal's palette, read from the tokens, so that tokens.css stays the only file with raw colours.

import type { ITheme } from '@xterm/xterm';

const ANSI = ['black', 'red', 'green', 'yellow', 'blue', 'magenta', 'cyan', 'white'] as const;

export function terminalTheme(element: Element): ITheme {
  const style = getComputedStyle(element);
  const token = (name: string) => style.getPropertyValue(`--${name}`).trim();
  const theme: ITheme = {
    background: token('term-bg'),
    foreground: token('term-fg'),
    cursor: token('term-cursor'),
    cursorAccent: token('term-bg'),
    selectionBackground: token('term-select'),
    selectionInactiveBackground: token('term-select'),
    scrollbarSliderBackground: token('term-edge'),
    scrollbarSliderHoverBackground: token('term-dim'),
    scrollbarSliderActiveBackground: token('term-dim'),
  };
  ANSI.forEach((name, i) => {
    theme[name] = token(`term-${i}`);
    theme[`bright${name[0]?.toUpperCase() ?? ''}${name.slice(1)}` as 'brightRed'] = token(`term-${i + 8}`);
  });
  return theme;
}

export function terminalFont(element: Element): string {
  return getComputedStyle(element).getPropertyValue('--font-mono').trim();
}
