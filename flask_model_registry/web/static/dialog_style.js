// @ts-check
/** How dialogs look. */

export const DIALOG_STYLE = new CSSStyleSheet();
DIALOG_STYLE.replaceSync(`
[aria-invalid] { border-color: var(--danger); }
@media (forced-colors: active) { [aria-invalid] { border: 4px double; } }
.field:has([required]) > label::after { content: " *" / ""; color: var(--danger); }
.giving > :is(form, .model) { margin-top: .75rem; }
.giving > summary { width: fit-content; }
.check { display: inline-flex; gap: .5rem; align-items: center; font-weight: 400; margin-inline-end: 1rem; min-height: 1.75rem; }
legend { padding: 0; }
dialog {
  width: min(36rem, calc(100vw - 1rem)); max-height: calc(100dvh - 1rem); padding: 1.25rem; overflow: auto; scroll-padding-block: 1rem 5rem;
  color: var(--text); background: var(--surface); border: 1px solid var(--line); border-radius: var(--radius);
}
dialog p { overflow-wrap: anywhere; }
dialog button { white-space: normal; overflow-wrap: anywhere; }
dialog::backdrop { background: #0008; }
dialog h2 {
  margin-bottom: .75rem; display: -webkit-box; -webkit-line-clamp: 3; -webkit-box-orient: vertical; overflow: hidden;
}
dialog form, .model, dialog div:has(> form, > fieldset, > pre) { display: grid; gap: .75rem; grid-template-columns: minmax(0, 1fr); }
dialog form + form { border-top: 1px solid var(--line); padding-top: .75rem; }
dialog form > .check { margin: 0; }
@media (min-width: 45rem) {
  dialog:has(.model) { width: 44rem; }
  .model { grid-template-columns: 1fr 1fr; }
  .model > :not(.field), [data-field=description], .field:has(> .choices:not(.popup)) { grid-column: 1 / -1; }
}
.choices { margin-block: .25rem; padding: .25rem; max-height: 14rem; overflow: auto; border: 1px solid var(--line); border-radius: var(--radius); }
.choices > li { display: flex; gap: .5rem; justify-content: space-between; min-height: 2rem; padding: .25rem .5rem; cursor: pointer; overflow-wrap: anywhere; }
.choices > li:hover, .choices > .active { background: var(--tint); }
.choices > .active { outline: 2px solid var(--accent); outline-offset: -2px; }
.choices > [aria-selected=true] { font-weight: 600; }
.choices > [aria-selected=true]::after { content: "✓" / ""; color: var(--accent); }
.mark {
  flex: none; width: 1.75rem; margin-inline-end: .25rem; border-radius: .375rem; text-align: center; font-size: .75rem; font-weight: 600;
  line-height: 1.75rem; color: light-dark(#fff, #000); background: light-dark(oklch(.45 .11 var(--hue)), oklch(.82 .08 var(--hue)));
}
.choices > li:has(> .mark) { align-items: center; }
.mark::before { content: attr(data-initials) / ""; }
.mark + span { flex: 1; }
.popup { position: absolute; inset: 100% 0 auto; z-index: 2; margin: .125rem 0; background: var(--surface); border-color: var(--edge); box-shadow: 0 .25rem 1rem #0004; }
.field:has(> .popup) { position: relative; }
.facts { display: grid; gap: .25rem 1rem; grid-template-columns: max-content minmax(0, 1fr); margin: 0; font-size: .875rem; }
dt { font-weight: 600; }
dd { margin: 0; overflow-wrap: anywhere; white-space: pre-line; }
h4 { margin: 0; font-size: .875rem; flex: 1; }
pre { margin: 0; padding: .5rem; white-space: pre-wrap; overflow-wrap: anywhere; font: .8125rem/1.5 monospace; background: var(--tint); border: 1px solid var(--line); border-radius: var(--radius); }
.names { display: grid; gap: .5rem; grid-template-columns: repeat(auto-fill, minmax(min(16rem, 100%), 1fr)); }
.sides { display: grid; gap: .25rem 1rem; grid-template-columns: 1fr 1fr; }
.sides .check { align-items: start; overflow-wrap: anywhere; min-width: 0; }
.row { display: grid; gap: .5rem; grid-template-columns: repeat(auto-fit, minmax(min(10.5rem, 100%), 1fr)); }
.trying { display: flex; flex-wrap: wrap; gap: .5rem; align-items: center; }
footer {
  display: flex; flex-wrap: wrap; gap: .5rem; justify-content: flex-end; position: sticky; bottom: -1.25rem;
  margin-bottom: -1.25rem; padding: .5rem 0 1.25rem; background: var(--surface);
}
.grants > li { display: flex; flex-wrap: wrap; gap: .25rem .5rem; align-items: center; padding: .25rem 0; border-bottom: 1px solid var(--line); }
.grants > li > .field { flex: 1 1 12rem; }
.grants > li:has(> .field) { align-items: end; }
.grants > li > span { flex: 1 1 10rem; min-width: 0; overflow-wrap: anywhere; }
`);
