/** How a notice looks on a screen and on paper. System fonts only: nothing is loaded. */
export const PAGE_STYLE = `
:root { color-scheme: light; --ink: #1d252c; --quiet: #5a6670; --line: #d5dbe0; --wash: #f3f6f8; --accent: #1f5f7a; }
* { box-sizing: border-box; }
body { margin: 0; background: var(--wash); color: var(--ink); font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; }
main { max-width: 52rem; margin: 2rem auto; padding: 2.5rem 3rem 3rem; background: #fff; border: 1px solid var(--line); border-top: 6px solid var(--accent); border-radius: 4px; }
h1 { margin: 0 0 .25rem; font-size: 1.75rem; line-height: 1.2; letter-spacing: -.01em; text-wrap: balance; }
h1 + p { margin-top: 0; color: var(--quiet); }
h2 { margin: 2.25rem 0 .5rem; padding-top: 1rem; border-top: 1px solid var(--line); font-size: 1.2rem; }
h3 { margin: 1.5rem 0 .25rem; font-size: 1rem; }
p, li { max-width: 44rem; }
ul { padding-left: 1.2rem; }
table { width: 100%; margin: 1rem 0; border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .45rem .9rem .45rem 0; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top; overflow-wrap: anywhere; }
thead th { color: var(--quiet); font-size: .8rem; font-weight: 600; }
td:first-child { width: 12rem; color: var(--quiet); }
code { padding: .05em .3em; border-radius: 3px; background: var(--wash); font: .9em ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; overflow-wrap: anywhere; }
time { white-space: nowrap; }
@media (max-width: 40rem) { main { margin: 0; padding: 1.5rem 1.25rem; border-width: 6px 0 0; border-radius: 0; } td:first-child { width: 8rem; } }
@page { size: A4; margin: 18mm 16mm; }
@media print {
  body { background: #fff; font-size: 10.5pt; }
  main { max-width: none; margin: 0; padding: 0; border: 0; }
  h2 { break-after: avoid; }
  tr, li { break-inside: avoid; }
  code { background: none; padding: 0; }
}
`;
