/** What a certificate says, read from its signed text alone. Unknown members are left to whoever knows them. */
import { z } from 'zod';
import { canonicalJson } from '../canonical-json.ts';

const instant = z.string();
const span = z.looseObject({ from: instant, to: instant });
const moved = z.looseObject({
  from: instant,
  to: instant,
  by: z.string(),
  approval: z.string().nullable(),
  at: instant,
});

const copySchema = z.looseObject({
  backend: z.string(),
  account: z.string(),
  region: z.string(),
  vault: z.string(),
  prefix: z.string().optional(),
  vaultArchiveId: z.string(),
  bytes: z.number(),
  treeHash: z.string(),
  storedAt: instant,
  /** Missing for a copy that was left behind when its archive moved. */
  verified: z.looseObject({ level: z.string(), at: instant.nullable() }).optional(),
  deleted: z.looseObject({
    requestedAt: instant.nullable(),
    /** null: no reply came; the inventory says that it went. */
    acceptedAt: instant.nullable(),
    requestId: z.string().nullable(),
    approval: z.string().nullable().optional(),
    confirmedByInventoryOf: instant,
  }),
});

const bodySchema = z.looseObject({
  format: z.literal('moraine-certificate'),
  version: z.literal(1),
  number: z.int().min(1),
  id: z.string().min(1),
  installation: z.string(),
  environment: z.string(),
  note: z.string().optional(),
  owner: z.string(),
  customer: z.string(),
  dataset: z.string(),
  policy: z.string(),
  policyVersion: z.string(),
  issuedAt: instant,
  asOf: instant.nullable(),
  audit: z.looseObject({ seq: z.number(), hash: z.string() }).nullable(),
  what: z.string(),
  archive: z.string().nullable(),
  records: z.record(z.string(), z.number()),
  children: z.number().optional(),
  attachments: z.number().optional(),
  addendumTo: z.string().optional(),
  collection: z.string().optional(),
  fields: z.array(z.looseObject({ field: z.string(), how: z.string() })).optional(),
  rules: z.array(z.looseObject({ rule: z.string(), records: z.number() })),
  triggers: span.optional(),
  due: z
    .looseObject({
      activeEnded: instant,
      activeEndedLast: instant.optional(),
      purgeFrom: instant.optional(),
      purgeTo: instant.optional(),
      claimed: instant.optional(),
    })
    .optional(),
  dueBy: instant.optional(),
  saidBy: z.string().optional(),
  rescheduled: z.array(moved).optional(),
  early: moved.optional(),
  holds: z
    .looseObject({
      lookedAt: z.array(instant),
      inForce: z.number().nullable(),
      ids: z.array(z.string()),
      leftOut: z.array(z.string()),
    })
    .optional(),
  approvals: z.array(
    z.looseObject({
      id: z.string(),
      kind: z.string(),
      requestedBy: z.string(),
      requestedAt: instant,
      granted: z.array(z.looseObject({ by: z.string(), at: instant })),
    }),
  ),
  copies: z.array(copySchema),
  key: z.looseObject({ attempt: z.string().nullable(), destroyedAt: instant }).optional(),
  finalOn: instant.nullable().optional(),
  merkleRoot: z.string().optional(),
  manifestSha256: z.string().optional(),
  done: span.optional(),
  collections: z.array(z.looseObject({ collection: z.string(), deleted: z.number() })).optional(),
  archives: z.array(z.string()).optional(),
  certificates: z.array(z.string()).optional(),
  export: z.looseObject({ id: z.string(), manifestSha256: z.string() }).optional(),
});

export type CertificateBody = z.output<typeof bodySchema>;
export type CertifiedCopy = z.output<typeof copySchema>;

/** Null for a text that is no certificate of ours, or that could be read in two ways. */
export function readBody(text: string): CertificateBody | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
    // A member that stands there twice means one thing to one reader and another to the next.
    if (canonicalJson(value) !== text) return null;
  } catch {
    return null;
  }
  const read = bodySchema.safeParse(value);
  return read.success ? read.data : null;
}
