/** What a person sees when a page cannot be shown. */
import type { MoraineError } from '../../errors.ts';
import { html } from '../html.ts';
import { type Page, prose } from '../layout.ts';

export function problemPage(error: MoraineError): Page {
  return {
    title: error.code === 'ARCHIVE_UNKNOWN' ? 'Not found' : 'This page cannot be shown',
    section: '',
    body: html`<section class="verdict ${error.code === 'ARCHIVE_UNKNOWN' ? 'warn' : 'bad'}"><h2>${error.message}</h2><p>${prose(error.hint)}</p><p class="muted">Code <code>${error.code}</code>. ${error.changed}</p></section>`,
  };
}

export function notFoundPage(): Page {
  return {
    title: 'Not found',
    section: '',
    body: html`<section class="verdict warn"><h2>There is no such page</h2><p><a href="/">Go to the overview</a></p></section>`,
  };
}
