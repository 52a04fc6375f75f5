import { id } from '../ids.ts';
import { isoPeriod, periodOf } from './period.ts';
import type { BlastCaps, Policy } from './policy.ts';
import { DEFAULTS, type PolicyText } from './schema.ts';
import { zoneName } from './zone.ts';

/** The normal form of a policy that passed the schema and the checks across fields (see load.ts). */
export function normalise(text: PolicyText): Policy {
  const grace = iso(text.grace ?? DEFAULTS.grace);
  return {
    v: 1,
    name: text.policy,
    zone: zoneName(text.zone) ?? text.zone,
    dataset: {
      collection: id.namespace(text.dataset.collection),
      owner: text.dataset.owner,
      customer: text.dataset.customer,
      version: text.dataset.version?.field ?? null,
      facets: Object.fromEntries(Object.entries(text.dataset.facets ?? {}).map(([name, { field }]) => [name, field])),
    },
    trigger: normalTrigger(text.trigger),
    active: text.active === undefined ? null : iso(text.active),
    disposition: text.then,
    archive: {
      for: iso(text.archive.for),
      vault: id.vaultKey(text.archive.vault),
      verify: text.archive.verify ?? DEFAULTS.verify,
      dueWindow: iso(text.archive.dueWindow ?? DEFAULTS.dueWindow),
      maxWait: text.archive.maxWait === undefined ? grace : iso(text.archive.maxWait),
    },
    grace,
    limits: normalCaps(text.limits),
    schedule: text.schedule === undefined ? null : text.schedule.trim().split(/\s+/).join(' '),
  };
}

/** The caps that make sense; what is missing, zero, negative, NaN or no number at all is null and lets nothing through. */
function normalCaps(limits: unknown): BlastCaps {
  if (typeof limits !== 'object' || limits === null) return { records: null, share: null };
  const records = 'records' in limits ? limits.records : null;
  const share = 'share' in limits ? limits.share : null;
  return {
    records: typeof records === 'number' && Number.isSafeInteger(records) && records > 0 ? records : null,
    share: typeof share === 'number' && share > 0 && share <= 1 ? share : null,
  };
}

function normalTrigger(trigger: PolicyText['trigger']): Policy['trigger'] {
  if ('field' in trigger) return { kind: 'date', field: trigger.field };
  if ('objectId' in trigger) return { kind: 'objectId', field: trigger.objectId };
  return { kind: 'expires', field: trigger.expires };
}

function iso(text: string): string {
  return isoPeriod(periodOf(text));
}
