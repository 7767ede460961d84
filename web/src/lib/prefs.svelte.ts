// What the user chose on this device: theme, terminal palette, layout. Kept in localStorage, applied to <html>.
// public/theme.js applies the same rules before the first paint.

export type Theme = 'system' | 'light' | 'dark' | 'contrast';
export type Layout = 'cards' | 'rows';

interface Stored {
  theme: Theme;
  term: 'night' | 'day';
  layout: Layout;
  screenReader: boolean;
}

const KEY = 'regatta.prefs';
const DEFAULTS: Stored = { theme: 'system', term: 'night', layout: 'cards', screenReader: false };

function load(): Stored {
  try {
    return { ...DEFAULTS, ...(JSON.parse(localStorage.getItem(KEY) ?? '{}') as Partial<Stored>) };
  } catch {
    return DEFAULTS; // unreadable or forbidden storage: the defaults are a complete choice
  }
}

const light = matchMedia('(prefers-color-scheme: light)');
const contrast = matchMedia('(prefers-contrast: more)');
const narrow = matchMedia('(max-width: 640px)');

class Prefs {
  #stored = $state(load());
  #light = $state(light.matches);
  #contrast = $state(contrast.matches);
  /** A phone, or a window as narrow as one. */
  phone = $state(narrow.matches);
  shown: Exclude<Theme, 'system'> = $derived.by(() => {
    if (this.#stored.theme !== 'system') return this.#stored.theme;
    return this.#contrast ? 'contrast' : this.#light ? 'light' : 'dark';
  });

  constructor() {
    light.addEventListener('change', (e) => (this.#light = e.matches));
    contrast.addEventListener('change', (e) => (this.#contrast = e.matches));
    narrow.addEventListener('change', (e) => (this.phone = e.matches));
    $effect.root(() => {
      $effect(() => {
        const root = document.documentElement.dataset;
        root['theme'] = this.shown;
        root['density'] = this.phone ? 'touch' : 'cozy';
        root['term'] = this.#stored.term;
      });
    });
  }

  get theme(): Theme {
    return this.#stored.theme;
  }
  get term(): 'night' | 'day' {
    return this.#stored.term;
  }
  get layout(): Layout {
    return this.#stored.layout;
  }
  get screenReader(): boolean {
    return this.#stored.screenReader;
  }

  set(change: Partial<Stored>): void {
    this.#stored = { ...this.#stored, ...change };
    try {
      localStorage.setItem(KEY, JSON.stringify(this.#stored));
    } catch {
      // Private windows may refuse storage; the choice then lives as long as the page.
    }
  }
}

export const prefs = new Prefs();
