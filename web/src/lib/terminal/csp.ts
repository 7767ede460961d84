// xterm styles itself with <style> elements and style attributes; the page's content security policy allows neither.
// vite.config.ts replaces those four places of xterm by these two functions, which go through the CSSOM instead.

/** Stands in for a <style> element: what is set as its text becomes an adopted style sheet for as long as it is in use. */
export function styleElement(): HTMLElement {
  const element = document.createElement('template'); // inert and invisible, and no style for a policy to refuse
  const sheet = new CSSStyleSheet();
  document.adoptedStyleSheets.push(sheet);
  Object.defineProperty(element, 'textContent', { set: (css: string) => sheet.replaceSync(css), get: () => '' });
  const remove = element.remove.bind(element);
  element.remove = () => {
    document.adoptedStyleSheets = document.adoptedStyleSheets.filter((s) => s !== sheet);
    remove();
  };
  return element;
}

/** Adds a declaration to an element's own style. */
export function addStyle(element: HTMLElement, declaration: string): void {
  element.style.cssText += `${declaration};`;
}
