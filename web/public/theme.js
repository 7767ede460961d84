// Sets theme and density before the first paint, from what the user chose on this device or else from the system.
// Its rules are those of src/lib/prefs.svelte.ts, which takes over once the app runs.
(function () {
  var root = document.documentElement;
  var chosen;
  try {
    chosen = JSON.parse(localStorage.getItem('regatta.prefs') || '{}').theme;
  } catch {
    // Storage is forbidden or unreadable: follow the system.
  }
  var asks = function (q) { return matchMedia(q).matches; };
  if (!chosen || chosen === 'system') chosen = asks('(prefers-contrast: more)') ? 'contrast' : asks('(prefers-color-scheme: light)') ? 'light' : 'dark';
  root.dataset.theme = chosen;
  root.dataset.density = asks('(max-width: 640px)') ? 'touch' : 'cozy';
})();
