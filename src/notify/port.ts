/**
 * A way in which owners are told: mail, a topic, a webhook. One port, one contract suite
 * (`test/contract/notify-contract.ts`) for the fake and all real ones.
 *
 * `send` throws MoraineError: NOTICE_UNAVAILABLE where the same call may succeed later (also where it is not known whether
 * the message arrived: it carries the id under which it was sent before), NOTICE_REFUSED where it will not.
 */
import type { OwnerId } from '../ids.ts';
import type { Telling } from './telling.ts';

export type WayKind = 'smtp' | 'ses' | 'sns' | 'webhook' | 'memory';

export interface NotifyWay {
  /** As moraine.yaml names it. */
  readonly name: string;
  readonly kind: WayKind;
  /** Where a telling of this owner goes, as it may be shown; null: this way does not reach the owner. */
  addressOf(owner: OwnerId): string | null;
  /** Returns the id under which the other side took it. Nothing in it is record content. */
  send(telling: Telling, signal?: AbortSignal): Promise<{ readonly messageId: string }>;
  close(): Promise<void>;
}

/** What the acts are given of `notify:` in moraine.yaml. */
export interface Notifying {
  readonly ways: readonly NotifyWay[];
  /** Tell about purges this long before, when they destroy this many records or more. null: do not. */
  readonly beforePurge: { readonly days: number; readonly records: number } | null;
}
