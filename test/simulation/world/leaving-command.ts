/** `export` and `offboard` as people use them: a customer gets everything back, and then all of it is destroyed. */
import { id } from '../../../src/ids.ts';
import { unwrapArchiveKey } from '../../../src/keys/administrator.ts';
import { findArchives } from '../../../src/ledger/archives.ts';
import type { Context } from '../../../src/lifecycle/context.ts';
import { exportCustomer } from '../../../src/lifecycle/export-customer.ts';
import { offboard } from '../../../src/lifecycle/offboard.ts';
import { requestRetrieval } from '../../../src/lifecycle/retrieve.ts';
import { VerifiedExport } from '../../../src/lifecycle/verified-export.ts';
import type { SimulatedProcess } from '../engine/process.ts';
import type { Installed } from './context.ts';
import { memoryFolder } from './export-folder.ts';
import type { Act } from './scenario.ts';

/** The slowest tier and more. */
const PATIENCE_MS = 16 * 3_600_000;
const LOOK_EVERY_MS = 4 * 3_600_000;

export async function exportOne(
  { name, owner: ownerName, customer: customerName, wait }: Extract<Act, { what: 'export' }>,
  process: SimulatedProcess,
  context: Context,
  { servers, keysOf, exports }: Installed,
): Promise<void> {
  const subject = { owner: id.owner(ownerName), customer: id.customer(customerName) };
  const keys = keysOf.get(ownerName);
  if (keys === undefined) return;
  if (wait)
    for await (const { _id } of findArchives(context.store, { ...subject, state: 'cleared' }, { sort: { _id: 1 } }))
      await requestRetrieval(context, _id, 'standard');
  for (let waited = 0; ; waited += LOOK_EVERY_MS) {
    const isLast = !wait || waited >= PATIENCE_MS;
    if (wait) await context.clock.sleep(LOOK_EVERY_MS);
    const { archives } = await exportCustomer(
      context,
      subject,
      memoryFolder(async (folder) => {
        exports.set(name, { ...subject, export: folder.export, written: folder.written });
        const { export: exported, manifestSha256, records, archives: held } = folder;
        await servers.tell({
          what: 'export returned',
          by: process.name,
          export: exported,
          owner: ownerName,
          customer: customerName,
          manifestSha256,
          records,
          archives: held,
        });
      }),
      (wrapped) => unwrapArchiveKey(wrapped, keys.identity, keys.administrators),
    );
    if (isLast || archives.every(({ outcome }) => outcome === 'exported')) return;
  }
}

/** Nothing to do where the export never came to its end. */
export async function offboardOne(
  { name, withoutArchives }: Extract<Act, { what: 'offboard' }>,
  person: string,
  process: SimulatedProcess,
  context: Context,
  { servers, exports }: Installed,
): Promise<void> {
  const returned = exports.get(name);
  if (returned === undefined) return;
  const { owner, customer, written } = returned;
  await servers.tell({ what: 'offboarding asked', by: process.name, export: returned.export, withoutArchives });
  const exported = await VerifiedExport.of(context, written, { owner, customer });
  await offboard(context, exported, { owner, customer, reason: 'they leave', saidBy: person, withoutArchives });
}
