import { fileURLToPath } from 'node:url';
import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig, type Plugin } from 'vite';

// REGATTA_DEV_SERVER names a running control plane for `npm run dev`.
const server = process.env['REGATTA_DEV_SERVER'] ?? 'http://127.0.0.1:7600';
const through = { target: server, ws: true, changeOrigin: false };

/** Makes xterm keep to a content security policy without 'unsafe-inline'. Fails when xterm is not as it was looked at. */
function strictXterm(): Plugin {
  const helpers = fileURLToPath(new URL('src/lib/terminal/csp.ts', import.meta.url));
  return {
    name: 'strict-xterm',
    enforce: 'pre',
    transform(code, id) {
      if (!id.includes('@xterm/xterm/lib/xterm.mjs')) return undefined;
      let elements = 0;
      let attributes = 0;
      const strict = code
        .replace(/[\w$.]+\.createElement\("style"\)/g, () => {
          elements += 1;
          return 'regattaStyleElement()';
        })
        .replace(/(\w+)\.setAttribute\("style",`\$\{\1\.getAttribute\("style"\)\|\|""\}\$\{(\w+)\};`\)/g, (_, element: string, declaration: string) => {
          attributes += 1;
          return `regattaAddStyle(${element},${declaration})`;
        });
      if (elements !== 3 || attributes !== 1) {
        this.error(`xterm styles itself in ${elements} elements and ${attributes} attributes, expected 3 and 1: read its source again and adapt strictXterm in vite.config.ts`);
      }
      return { code: `import { styleElement as regattaStyleElement, addStyle as regattaAddStyle } from ${JSON.stringify(helpers)};\n${strict}`, map: null };
    },
  };
}

export default defineConfig({
  plugins: [strictXterm(), svelte()],
  optimizeDeps: { exclude: ['@xterm/xterm'] },
  build: {
    target: 'es2022',
    assetsInlineLimit: 0, // a data: URL would need an exception in the content security policy
    modulePreload: { polyfill: false },
    sourcemap: false,
  },
  server: { host: '127.0.0.1', proxy: { '/api': through, '/apis': through, '/auth': through, '/watch': through } },
});
