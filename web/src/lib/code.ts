// The one-time login code arrives in the URL's fragment, which browsers never send anywhere.

export function codeIn(hash: string): string | undefined {
  const code = new URLSearchParams(hash.replace(/^#/, '')).get('code');
  return code === null || code === '' ? undefined : code;
}

/** Reads the code and removes the fragment from the address and the history. */
export function takeCode(): string | undefined {
  const code = codeIn(location.hash);
  if (location.hash !== '') history.replaceState(null, '', location.pathname + location.search);
  return code;
}
