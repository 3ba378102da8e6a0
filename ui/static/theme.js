// Sets the theme before anything is drawn, so that no light page flashes up in the
// dark. A classic script, because modules run too late for that.
(() => {
  try {
    const theme = localStorage.getItem('remuda-theme');
    if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme;
  } catch { /* storage may be forbidden; then the system's theme it is */ }
})();
