// @ts-check
/** How it looks. */

export const STYLE = new CSSStyleSheet();
STYLE.replaceSync(`
:host {
  --accent: var(--model-registry-accent, light-dark(#1d4ed8, #9db8ff));
  --on-accent: var(--model-registry-on-accent, light-dark(#fff, #0b1533));
  --danger: var(--model-registry-danger, light-dark(#b3261e, #ffb4ab));
  --on-danger: var(--model-registry-on-danger, light-dark(#fff, #410002));
  --good: var(--model-registry-good, light-dark(#176b34, #7fd69a));
  --surface: var(--model-registry-surface, light-dark(#fff, #16181d));
  --text: var(--model-registry-text, light-dark(#1b1d22, #e7e9ee));
  --muted: color-mix(in srgb, var(--text) 72%, var(--surface));
  --line: var(--model-registry-line, color-mix(in srgb, var(--text) 16%, var(--surface)));
  --edge: color-mix(in srgb, var(--text) 50%, var(--surface));
  --tint: color-mix(in srgb, var(--text) 5%, var(--surface));
  --radius: var(--model-registry-radius, .5rem);
  container-type: inline-size;
  display: block;
  color: var(--text);
  font: var(--model-registry-font, 1rem/1.5 system-ui, sans-serif);
}
:host([hidden]), [hidden] { display: none !important; }
* { box-sizing: border-box; }
section { position: relative; background: var(--surface); border: 1px solid var(--line); border-radius: var(--radius); padding: 1rem; }
h2, h3, p, ul, fieldset { margin: 0; padding: 0; border: 0; min-width: 0; }
ul { list-style: none; }
[dir=auto]:not(input, textarea) { text-align: -webkit-match-parent; text-align: match-parent; }
h2 { font-size: 1.25rem; line-height: 1.3; overflow-wrap: anywhere; }
h2:focus { outline: none; }
h3 { font-size: 1rem; overflow-wrap: anywhere; }
header { display: flex; flex-wrap: wrap; gap: .5rem; align-items: center; justify-content: flex-end; }
header h2 { flex: 1 1 6rem; }
button, summary {
  font: inherit; min-height: 2.25rem; padding: .25rem .75rem; cursor: pointer; white-space: nowrap;
  color: var(--text); background: var(--surface); border: 1px solid var(--edge); border-radius: var(--radius);
}
button:hover, summary:hover { background: var(--tint); }
button.primary { color: var(--on-accent); background: var(--accent); border-color: var(--accent); }
button.danger { color: var(--danger); }
button.primary.danger { color: var(--on-danger); background: var(--danger); border-color: var(--danger); }
button:disabled, button.primary:disabled { background: transparent; color: var(--muted); border-color: var(--line); cursor: default; }
button[aria-busy] { cursor: progress; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
input, select, textarea {
  font: inherit; width: 100%; min-height: 2.25rem; padding: .25rem .5rem;
  color: var(--text); background: var(--surface); border: 1px solid var(--edge); border-radius: var(--radius);
}
:is(input[type=checkbox], input[type=radio]) { flex: none; width: 1.1rem; min-height: 1.1rem; margin: 0; accent-color: var(--accent); }
label, legend { font-size: .875rem; font-weight: 600; }
.hint, .more, .description, .notice { color: var(--muted); font-size: .875rem; overflow-wrap: anywhere; }
.url { overflow-wrap: anywhere; }
.notice { color: var(--text); }
.hint:empty, .error:empty, .result:empty:not([role]) { display: none; }
.error, [role=alert], .bad { color: var(--danger); font-size: .875rem; overflow-wrap: anywhere; }
.ok { color: var(--good); }
.result, .state { font-size: .875rem; }
.state { display: flex; flex-wrap: wrap; gap: 0 1rem; color: var(--muted); }
.state li { overflow-wrap: anywhere; min-width: 0; }
.outcome { display: flex; flex-wrap: wrap; gap: .25rem .5rem; align-items: center; }
.messages {
  position: sticky; inset-block-start: var(--model-registry-top, 0px); z-index: 2; display: grid; gap: .25rem;
  background: var(--surface);
}
.messages > :not(.quiet):has(:not(:empty, [hidden])), .messages > :not(.quiet, :empty, div) { padding-block: .5rem; }
.messages > div, .named { display: flex; flex-wrap: wrap; gap: .5rem; align-items: center; }
.quiet { position: absolute; width: 1px; height: 1px; margin: -1px; overflow: hidden; clip-path: inset(50%); }
.named { flex-wrap: nowrap; align-items: baseline; }
.all { padding-block: .5rem; }
.selection > span { flex: 1 1 8rem; font-size: .875rem; }
[role=search] { display: grid; gap: .5rem; grid-template-columns: repeat(5, minmax(0, 1fr)); padding: .75rem 0; }
[role=search] > :first-child { grid-column: span 2; }
.models { border-top: 1px solid var(--line); }
.models > li { display: flex; gap: .75rem; align-items: flex-start; padding: .75rem 0; border-bottom: 1px solid var(--line); }
.models > li:last-child { border-bottom: 0; padding-bottom: 0; }
.models[aria-busy] { opacity: .6; }
.what { flex: 1 1 auto; min-width: 0; }
.description { white-space: pre-line; display: -webkit-box; -webkit-line-clamp: 3; -webkit-box-orient: vertical; overflow: hidden; }
.inactive h3, .empty { color: var(--muted); }
.badges { display: flex; flex-wrap: wrap; gap: .25rem; margin-top: .25rem; }
.badges li { overflow-wrap: anywhere; font-size: .75rem; padding: 0 .5rem; background: var(--tint); border: 1px solid var(--line); border-radius: 1rem; }
.actions { display: flex; gap: .5rem; flex: none; position: relative; }
summary { list-style: none; display: flex; align-items: center; }
summary::-webkit-details-marker { display: none; }
.menu {
  position: absolute; inset-inline-end: 0; z-index: 1; display: flex; flex-direction: column; min-width: 12rem; margin-block: .25rem;
  padding: .25rem; background: var(--surface); border: 1px solid var(--edge); border-radius: var(--radius);
  box-shadow: 0 .25rem 1rem #0004;
}
.menu button { text-align: start; border-color: transparent; }
nav { display: flex; gap: .75rem; align-items: center; justify-content: flex-end; padding-top: .75rem; }
.field { display: grid; gap: .125rem; align-content: start; min-width: 0; }
@media (pointer: coarse) {
  button, summary, input:not([type=checkbox], [type=radio]), select { min-height: 2.75rem; }
}
@container (max-width: 40rem) {
  [role=search] { grid-template-columns: repeat(3, minmax(0, 1fr)); }
  [role=search] > :first-child { grid-column: 1 / -1; }
  .models > li { flex-direction: column; align-items: stretch; gap: .5rem; }
  .actions { flex-wrap: wrap; }
  .menu { inset-inline: 0 auto; }
  header button { flex: 1 1 auto; }
}
`);
