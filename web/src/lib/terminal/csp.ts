// xterm styles itself with <style> elements and style attributes; the page's content security policy allows neither.
// It is given this document instead of the real one: the same in everything, except that the elements it creates put
// their styles through the CSSOM, which the policy permits.

export interface StrictDocument {
  document: Document;
  /** Removes the sheets again. */
  dispose(): void;
}

export function strictDocument(): StrictDocument {
  const sheets: CSSStyleSheet[] = [];

  function style(element: HTMLStyleElement): HTMLStyleElement {
    const sheet = new CSSStyleSheet();
    sheets.push(sheet);
    document.adoptedStyleSheets.push(sheet);
    Object.defineProperty(element, 'textContent', { set: (css: string) => sheet.replaceSync(css), get: () => '' });
    return element;
  }

  function attribute(element: HTMLElement): HTMLElement {
    const set = element.setAttribute.bind(element);
    element.setAttribute = (name: string, value: string) => {
      if (name === 'style') element.style.cssText = value;
      else set(name, value);
    };
    return element;
  }

  const facade = new Proxy(document, {
    get(target, property) {
      if (property === 'createElement') {
        return (tag: string, options?: ElementCreationOptions) => {
          const element = target.createElement(tag, options);
          if (tag === 'style') return style(element as HTMLStyleElement);
          return tag === 'span' ? attribute(element) : element;
        };
      }
      const value: unknown = Reflect.get(target, property, target);
      return typeof value === 'function' ? (value as (...args: unknown[]) => unknown).bind(target) : value;
    },
  });

  return {
    document: facade,
    dispose: () => {
      document.adoptedStyleSheets = document.adoptedStyleSheets.filter((s) => !sheets.includes(s));
    },
  };
}
