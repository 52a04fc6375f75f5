/** What a process of the simulated world hands to the acts of the lifecycle: the product's own context, on simulated ports. */

import { id } from '../../../src/ids.ts';
import { createKeys } from '../../../src/keys/keys.ts';
import { DEFAULT_APPROVAL_RULES } from '../../../src/ledger/approval-document.ts';
import { AuditLog } from '../../../src/ledger/audit.ts';
import type { ActLog, Context } from '../../../src/lifecycle/context.ts';
import type { SimulatedProcess } from '../engine/process.ts';
import type { ApprovalFacts } from '../judge/observations.ts';
import type { ReturnedExport } from './export-folder.ts';
import { filesPort } from './files-port.ts';
import type { OwnerKeys } from './people.ts';
import { ownerIds, SIGNING_KEY_PEM } from './people.ts';
import { type Servers, VAULT_KEY } from './servers.ts';
import { sourcePort } from './source-port.ts';
import { storePort } from './store-port.ts';
import { vaultPort } from './vault-port.ts';

export interface Installed {
  readonly servers: Servers;
  readonly installation: string;
  readonly owners: readonly string[];
  readonly keysOf: ReadonlyMap<string, OwnerKeys>;
  readonly approvals: ApprovalFacts;
  /** Folders that were handed over, by the name in the scenario: they outlive whoever wrote them. */
  readonly exports: Map<string, ReturnedExport>;
  /** Everything that the product says goes here. */
  readonly log: ActLog;
}

/** No two processes of this program ever share a worker's name, over all lives. */
let lives = 0;

/** The contexts of one process: they share its connections, its audit log and its ids. */
export function contextsOf(process: SimulatedProcess, installed: Installed): (signal?: AbortSignal) => Context {
  const { servers } = installed;
  const store = storePort(process, servers, 'ledger');
  const keyStore = storePort(process, servers, 'key store');
  const source = sourcePort(process, servers);
  const attachments = filesPort(process, servers);
  const vault = vaultPort(process, servers);
  const keys = createKeys({
    stores: [keyStore],
    clock: process.clock,
    environment: 'production',
    administratorsOf: (owner) => installed.keysOf.get(owner)?.administrators ?? [],
    signingKeyPem: SIGNING_KEY_PEM,
  });
  const audit = new AuditLog(store, process.clock, { actor: process.name });
  lives += 1;
  const worker = id.worker(`${process.name}-${lives}`);
  let ids = 0;
  return (signal) => ({
    clock: process.clock,
    store,
    audit,
    source,
    attachments,
    keys,
    vaults: new Map([[VAULT_KEY, vault]]),
    owners: ownerIds(installed.owners),
    installation: { id: installed.installation, environment: 'production' },
    approvals: { ...DEFAULT_APPROVAL_RULES, ...installed.approvals },
    worker,
    log: installed.log,
    progress: {},
    newId: () => `${process.name.replace(/[^a-z0-9]/g, '')}x${ids++}`,
    asOf: null,
    signal,
  });
}
