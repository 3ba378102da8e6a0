// What cannot wait for modules, and so is a classic script: the theme, lest a light
// page flashes up in the dark; and hiding the links to the same numbers as text, which
// come back when the page's program does not run.
(() => {
  const root = document.documentElement;
  try {
    const theme = localStorage.getItem('remuda-theme');
    if (theme === 'light' || theme === 'dark') root.dataset.theme = theme;
  } catch { /* storage may be forbidden; then the system's theme it is */ }
  root.classList.add('scripts');
  addEventListener('load', () => { // after all modules, or the failure of one
    if (document.getElementById('plain')) root.classList.remove('scripts');
  });
})();
