package ui

// What `make bundle` does: one module of the page's own and lit-html, and the style
// sheet, both without what only people read. The files in static/ stay plain modules
// that a browser runs as they are, which is what [DirHandler] serves and what the type
// checker reads; those in built/ are never edited, and a test makes them anew.
//
//go:generate go -C bundle tool esbuild ../static/app.js ../static/style.css --bundle --minify --format=esm --target=es2024 --charset=utf8 --legal-comments=eof --log-level=warning --outdir=../built
