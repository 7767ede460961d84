import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';
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

/** Puts the compressed forms beside each file, as the server has no time to make them at each request. */
function compressed(): Plugin {
  let dist = '';
  return {
    name: 'compressed',
    apply: 'build',
    configResolved: (config) => {
      dist = join(config.root, config.build.outDir);
    },
    closeBundle() {
      for (const name of readdirSync(dist, { recursive: true, encoding: 'utf8' })) {
        if (!/\.(js|css|html|svg)$/.test(name)) continue;
        const content = readFileSync(join(dist, name));
        writeFileSync(join(dist, `${name}.gz`), gzipSync(content, { level: 9 }));
        writeFileSync(join(dist, `${name}.br`), brotliCompressSync(content, { params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: content.length } }));
      }
    },
  };
}

export default defineConfig({
  plugins: [strictXterm(), svelte(), compressed()],
  optimizeDeps: { exclude: ['@xterm/xterm'] },
  build: {
    rolldownOptions: { checks: { bundlerTimings: false } }, // how slow this machine is is no warning
    target: 'es2022',
    manifest: true, // scripts/size.mjs reads it
    assetsInlineLimit: 0, // a data: URL would need an exception in the content security policy
    modulePreload: { polyfill: false },
    sourcemap: false,
    reportCompressedSize: false, // scripts/size.mjs says what counts
  },
  server: { host: '127.0.0.1', proxy: { '/api': through, '/apis': through, '/auth': through, '/watch': through } },
});
