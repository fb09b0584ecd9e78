/** The page's look: readable in light and dark, on a narrow screen and on paper. */
export const STYLE = `
:root {
  color-scheme: light dark;
  --ink: #1d2129; --soft: #5c6370; --paper: #fff; --panel: #f5f6f8; --line: #d9dce2; --bad: #b3261e;
  --one: #2767c5; --two: #c2620e;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ink: #e6e8ec; --soft: #a3a9b5; --paper: #15181d; --panel: #1e2229; --line: #363c47; --bad: #ff8a80;
    --one: #7fb0ff; --two: #ffae5c;
  }
}
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 24px 20px 60px; max-width: 1120px; color: var(--ink); background: var(--paper);
  font: 15px/1.5 system-ui, "Segoe UI", Roboto, "Liberation Sans", "DejaVu Sans", sans-serif; }
h1 { font-size: 26px; margin: 0 0 4px; }
h2 { font-size: 19px; margin: 40px 0 8px; }
h3 { font-size: 15px; margin: 22px 0 4px; overflow-wrap: anywhere; }
p { margin: 6px 0; max-width: 76ch; }
.soft, .tick, caption, figcaption { color: var(--soft); }
code { font-family: ui-monospace, "DejaVu Sans Mono", monospace; font-size: .92em; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; margin: 8px 0; font-variant-numeric: tabular-nums; }
caption { text-align: left; padding-bottom: 4px; }
th, td { padding: 4px 12px 4px 0; text-align: right; vertical-align: baseline; border-bottom: 1px solid var(--line);
  white-space: nowrap; }
th { font-weight: 600; }
th:first-child, td:first-child, .words, .left { text-align: left; }
td.words { white-space: normal; overflow-wrap: anywhere; }
td small { color: var(--soft); font-size: 12px; }
td code { white-space: nowrap; }
td.name { max-width: 320px; overflow: hidden; text-overflow: ellipsis; }
.bad { color: var(--bad); }
.one { color: var(--one); }
.two { color: var(--two); }
.note { background: var(--panel); border-left: 3px solid var(--bad); padding: 8px 14px; margin: 12px 0; }
figure { margin: 10px 0 22px; }
figure img { display: block; max-width: 100%; height: auto; background: #000; border-radius: 4px; }
figure img + img { margin-top: 6px; }
.key { display: inline-block; width: 22px; height: 0; border-top: 3px solid; vertical-align: middle;
  margin: 0 6px 0 0; }
.keys span { margin-right: 20px; white-space: nowrap; }
svg { width: 100%; max-width: 860px; height: auto; display: block;
  font: 12px system-ui, "Liberation Sans", sans-serif; }
svg .tick { fill: var(--soft); }
svg .label { fill: var(--ink); font-size: 13px; }
svg .grid { stroke: var(--line); }
svg .zero { stroke: var(--soft); stroke-dasharray: 4 3; }
.m1 { --c: var(--one); } .m2 { --c: var(--two); }
svg .box { fill: var(--c); fill-opacity: .14; stroke: var(--c); stroke-opacity: .7; }
svg .whisker { stroke: var(--c); stroke-opacity: .7; fill: none; }
svg .median { stroke: var(--c); stroke-width: 2.5; }
svg .dot { fill: var(--c); fill-opacity: .75; }
svg .dots { stroke: var(--c); stroke-width: 5; stroke-linecap: round; stroke-opacity: .35; fill: none; }
svg .interval { stroke: var(--ink); stroke-width: 2; }
svg .mean { fill: var(--ink); }
@media print { body { max-width: none; } h2, h3, figure { break-inside: avoid; break-after: avoid; } }
`;
