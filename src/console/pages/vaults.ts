/** Vaults: whose archives lie where, and when the next of them ends. */
import { bytes, count, counted, day, relative } from '../format.ts';
import { html } from '../html.ts';
import { empty, type Page, table } from '../layout.ts';
import type { VaultFigures } from '../snapshot.ts';

export function vaultsPage(vaults: readonly VaultFigures[], now: Date): Page {
  const total = vaults.reduce((sum, vault) => sum + vault.bytes, 0);
  return {
    title: 'Vaults',
    section: '/vaults',
    lead: html`Each belongs to one owner and one customer alone. ${vaults.length > 0 && html`${counted(vaults.length, 'vault')}, ${bytes(total)}.`}`,
    body:
      vaults.length === 0
        ? empty(
            'No vault holds anything yet. It is made with the first archive of its owner and customer:',
            'moraine run',
          )
        : html`<div class="panel flush">${table<VaultFigures>(
            'Vaults by owner and customer',
            [
              { title: 'Owner', cell: ({ owner }) => owner },
              {
                title: 'Customer',
                cell: ({ owner, customer }) =>
                  html`<a href="/archives?${new URLSearchParams({ owner, customer }).toString()}">${customer}</a>`,
              },
              {
                title: 'Vault',
                cell: ({ name, prefix, backend, region }) =>
                  html`<span class="mono">${name}${prefix !== '' && html`/${prefix}`}</span> <span class="muted nowrap">${backend}, ${region}</span>`,
              },
              { title: 'Archives', isNumber: true, cell: ({ archives }) => count(archives) },
              { title: 'Records', isNumber: true, cell: ({ records }) => count(records) },
              { title: 'Size', isNumber: true, cell: (vault) => bytes(vault.bytes) },
              { title: 'Purged', isNumber: true, cell: ({ purged }) => count(purged) },
              {
                title: 'Last drill',
                cell: ({ lastDrill }) =>
                  lastDrill === null
                    ? html`<span class="muted">none</span>`
                    : html`${lastDrill.state} <span class="muted nowrap">${relative(lastDrill.at, now)}</span>`,
              },
              {
                title: 'Next purge',
                cell: ({ nextPurge }) =>
                  html`${day(nextPurge)}${nextPurge !== null && html` <span class="muted">${relative(nextPurge, now)}</span>`}`,
              },
            ],
            vaults,
          )}</div>`,
  };
}
