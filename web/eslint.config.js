import js from '@eslint/js';
import svelte from 'eslint-plugin-svelte';
import globals from 'globals';
import ts from 'typescript-eslint';
import svelteConfig from './svelte.config.js';

export default ts.config(
  { ignores: ['dist', 'node_modules', 'test-results', 'src/lib/types.gen.ts'] },
  js.configs.recommended,
  ...ts.configs.strict,
  ...svelte.configs.recommended,
  { languageOptions: { globals: { ...globals.browser, ...globals.node } } },
  {
    files: ['**/*.svelte', '**/*.svelte.ts'],
    languageOptions: { parserOptions: { parser: ts.parser, extraFileExtensions: ['.svelte'], svelteConfig } },
  },
  {
    rules: {
      'no-undef': 'off', // tsc knows better
      'no-control-regex': 'off', // terminals are made of control characters
      'svelte/no-navigation-without-resolve': 'off', // there is no SvelteKit here
    },
  },
  {
    // One way in: state comes over /watch, mutations leave through api.ts. A component never fetches.
    files: ['src/**/*.svelte', 'src/screens/**', 'src/ui/**', 'src/shell/**'],
    rules: { 'no-restricted-globals': ['error', 'fetch', 'WebSocket', 'XMLHttpRequest'] },
  },
);
