import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vite';

// REGATTA_DEV_SERVER names a running control plane for `npm run dev`.
const server = process.env['REGATTA_DEV_SERVER'] ?? 'http://127.0.0.1:7600';
const through = { target: server, ws: true, changeOrigin: false };

export default defineConfig({
  plugins: [svelte()],
  build: {
    target: 'es2022',
    assetsInlineLimit: 0, // a data: URL would need an exception in the content security policy
    modulePreload: { polyfill: false },
    reportCompressedSize: true,
    sourcemap: false,
  },
  server: { host: '127.0.0.1', proxy: { '/api': through, '/apis': through, '/auth': through, '/watch': through } },
});
