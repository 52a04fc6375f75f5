/** What every act takes: the ports, who works, and what counts as now. Built by `src/app.ts`; simulations build their own. */
import type { Clock } from '../clock.ts';
import { MoraineError } from '../errors.ts';
import type { OwnerId, VaultKey, WorkerId } from '../ids.ts';
import type { KeysPort } from '../keys/port.ts';
import type { ApprovalRules } from '../ledger/approval-document.ts';
import type { AuditLog } from '../ledger/audit.ts';
import type { Store } from '../ledger/store.ts';
import type { Notifying } from '../notify/port.ts';
import type { AttachmentsPort, SourcePort } from '../source/port.ts';
import type { VaultLocation, VaultPort } from '../vault/port.ts';
import type { RetrievalFiles } from '../vault/retrieval-files.ts';
import type { Placement } from './placement.ts';
import type { HeadsSettings } from './publish-head.ts';

export type Environment = 'production' | 'non-production' | 'sandbox';

/** Ids, counts and states only: no record content and no personal data reaches a log. */
export interface ActLog {
  info(ids: Readonly<Record<string, unknown>>, text: string): void;
  warn(ids: Readonly<Record<string, unknown>>, text: string): void;
  error(ids: Readonly<Record<string, unknown>>, text: string): void;
}

/** For progress bars and metrics. Every call may be ignored. */
export interface Progress {
  /** So many records are about to be taken. */
  planned?(records: number): void;
  /** Records were read and sealed. */
  archived?(records: number, bytes: number): void;
  /** Records got an outcome. */
  cleared?(outcome: string, records: number): void;
  /** An archive changed its state. */
  moved?(archive: string, to: string): void;
}

export interface RetrievalSettings {
  /** Where outputs are fetched to before they expire; null: they stay in the vault until they are read. */
  readonly files: RetrievalFiles | null;
  /** Retrievals that the vaults work on at once, of one order. */
  readonly inFlight: number;
}

export interface Context {
  readonly clock: Clock;
  readonly store: Store;
  readonly audit: AuditLog;
  readonly source: SourcePort;
  /** Files that hang on records; absent where no policy has any. */
  readonly attachments?: AttachmentsPort;
  readonly keys: KeysPort;
  readonly vaults: ReadonlyMap<VaultKey, VaultPort>;
  readonly owners: ReadonlySet<OwnerId>;
  readonly installation: { readonly id: string; readonly environment: Environment };
  readonly worker: WorkerId;
  readonly log: ActLog;
  readonly progress: Progress;
  /** A fresh id that nobody else has: letters and digits. */
  readonly newId: () => string;
  /** Sandbox only: what counts as now for what is due. Never for leases, deadlines, audit times or witnesses. */
  readonly asOf: Date | null;
  /** What needs a second person; absent: what is the rule of the environment (approval.ts). */
  readonly approvals?: ApprovalRules;
  /** Where things are, for owners that require it; absent: nobody requires anything. */
  readonly placement?: Placement;
  /** Where heads of the audit chain are published; absent: nowhere. */
  readonly heads?: HeadsSettings;
  /** How owners are told; absent: they are not. */
  readonly notifying?: Notifying;
  /** How retrieval orders are followed; absent: the defaults, and nothing is fetched. */
  readonly retrievals?: RetrievalSettings;
  /** How often each vault is to have a successful drill (ISO 8601); absent: once a year. */
  readonly drills?: { readonly every: string };
  /** Aborted when the work is to stop; acts look at it before every outside call. */
  readonly signal?: AbortSignal | undefined;
}

/** The instant by which it is decided what is due. */
export function dueNow(context: Context): Date {
  return context.asOf ?? context.clock.now();
}

export function vaultOf(context: Context, key: VaultKey): VaultPort {
  const vault = context.vaults.get(key);
  if (vault !== undefined) return vault;
  throw new MoraineError('CONFIG_INVALID', `moraine.yaml has no vault named ${key}.`, { ids: { vault: key } });
}

/** One text for one vault at a service, to group by. */
export function locationKey(location: VaultLocation): string {
  return [location.key, location.account, location.region, location.name, location.prefix].join('|');
}

export function assertNotStopped(context: Context): void {
  if (context.signal?.aborted) {
    throw new MoraineError('WORK_STOPPED', 'The work was told to stop.', { cause: context.signal.reason });
  }
}
