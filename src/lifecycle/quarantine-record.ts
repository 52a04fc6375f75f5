/** Puts records of the source into quarantine: reported with the reason, left where they are, passed over by later plans. */
import type { CustomerId, Namespace, OwnerId } from '../ids.ts';
import { closeUnseenRecords, type Quarantined, quarantineRecords } from '../ledger/quarantine.ts';
import { markQuarantined } from '../ledger/record-marks.ts';
import type { Policy } from '../policy/policy.ts';
import { toShape } from '../policy/policy.ts';
import { assertNotStopped, type Context } from './context.ts';
import { markScope } from './read-marks.ts';

export interface QuarantineScope {
  readonly namespace: Namespace;
  readonly owner: OwnerId;
  readonly customer: CustomerId;
  readonly policy: string;
}

const TEXTS: Readonly<Record<string, string>> = {
  'owner-unusable': 'The owner field is missing or holds no usable value.',
  'customer-unusable': 'The customer field is missing or holds no usable value.',
  'trigger-unusable': 'The trigger field is missing or holds no date.',
  'not-canonical':
    'Its bytes do not survive decoding, so no guard can compare them; a version field in the policy helps.',
  'too-large': 'It is too large to be quoted in a guarded delete; a version field in the policy helps.',
  'not-treatable':
    'It cannot be treated in place: its field _moraine holds something else, or it is too large to be replaced under a guard.',
  'child-of-another': 'A child of it, or it as a child, names another owner or customer than its root.',
  'child-unfit': 'A child of it cannot be guarded: its bytes do not survive decoding, or it is too large to be quoted.',
  'not-returned':
    'It came, or changed, in the moment in which its root was deleted, after the export of a customer who leaves: it was not returned, and stays.',
  'attachment-missing': 'A file that it names was not there, or had changed, three times in a row.',
  'attachment-unusable': 'A field that should name a file holds something else, or the rule for it names no store.',
  'changed-three-times': 'It changed three times in a row while it was being deleted or treated.',
  'guard-refused':
    'The guarded delete or replace refused it three times although its bytes had not changed; a unique index or a schema may not let it be treated.',
};

/** Reasons that every run looks for anew in the whole dataset. */
const UNUSABLE: readonly string[] = ['owner-unusable', 'customer-unusable', 'trigger-unusable'];

/** Quarantines records of a partition that have an owner and customer. */
export async function quarantineRecord(
  context: Context,
  scope: QuarantineScope,
  record: { readonly idBytes: Uint8Array; readonly key: string },
  reason: string,
): Promise<Quarantined> {
  await markQuarantined(context.store, await markScope(context, scope.namespace, scope.owner, scope.customer), [
    record.key,
  ]);
  const text = TEXTS[reason] ?? reason;
  context.log.warn({ policy: scope.policy, namespace: scope.namespace, reason }, 'A record was quarantined.');
  return await quarantineRecords(context.store, context.clock, [{ ...scope, idBytes: record.idBytes, reason, text }]);
}

/** Quarantines every record of the dataset whose owner, customer or trigger cannot be used, and closes the entries of those that were mended. */
export async function quarantineUnfit(context: Context, policy: Policy): Promise<Quarantined> {
  const shape = toShape(policy);
  const total = { fresh: 0, known: 0, reopened: 0 };
  const since = context.clock.now();
  for await (const batch of context.source.unfit(shape)) {
    assertNotStopped(context);
    const entries = batch.flatMap((record) => {
      const facts = context.source.facts(shape, record.raw);
      const reason = facts.unfit[0];
      if (reason === undefined) return [];
      const text = TEXTS[reason] ?? reason;
      const { owner, customer } = facts;
      return [
        { policy: policy.name, namespace: shape.namespace, owner, customer, reason, text, idBytes: record.idBytes },
      ];
    });
    const quarantined = await quarantineRecords(context.store, context.clock, entries);
    total.fresh += quarantined.fresh;
    total.known += quarantined.known;
    total.reopened += quarantined.reopened;
  }
  const { namespace } = shape;
  await closeUnseenRecords(context.store, context.clock, { policy: policy.name, namespace, reasons: UNUSABLE, since });
  return total;
}
