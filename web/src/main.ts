// Starts the app. The one-time login code is taken out of the address before anything else may read or keep it.

import { mount } from 'svelte';
import App from './App.svelte';
import './tokens.css';
import './base.css';
import { takeCode } from './lib/code.ts';

const target = document.getElementById('app');
if (target === null) throw new Error('index.html has no #app');
mount(App, { target, props: { code: takeCode() } });
