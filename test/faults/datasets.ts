/** The datasets of a faulty world: what their policies say, in the words of a policy and in milliseconds. */

export interface Dataset {
  readonly policy: string;
  readonly collection: string;
  readonly activeMs: number;
  readonly archiveMs: number;
  readonly verify: 'checksum' | 'inventory';
  /** How long ago the trigger of a new record lies, in ms: from and to. */
  readonly triggerAgeMs: readonly [number, number];
  /** Bytes of text that does not compress in each record. */
  readonly bodyBytes: readonly [number, number];
}

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

/** Due at once. Its archives stay to the end, where the checker opens them. Verified by the vault's inventory. */
export const CALLS: Dataset = {
  policy: 'calls',
  collection: 'calls',
  activeMs: HOUR_MS,
  archiveMs: 24 * 365 * HOUR_MS,
  verify: 'inventory',
  triggerAgeMs: [2 * HOUR_MS, 48 * HOUR_MS],
  bodyBytes: [20, 400],
};

/** Due at once, and due for purge within a minute: the whole life in a short run. Those that come too late for an archive expire. */
export const LETTERS: Dataset = {
  policy: 'letters',
  collection: 'letters',
  activeMs: HOUR_MS,
  archiveMs: MINUTE_MS,
  verify: 'checksum',
  triggerAgeMs: [HOUR_MS, HOUR_MS + 40_000],
  bodyBytes: [20, 400],
};

/** Larger than one part: uploads in pieces. */
export const SCANS: Dataset = {
  policy: 'scans',
  collection: 'scans',
  activeMs: HOUR_MS,
  archiveMs: 24 * 365 * HOUR_MS,
  verify: 'checksum',
  triggerAgeMs: [2 * HOUR_MS, 48 * HOUR_MS],
  bodyBytes: [150_000, 250_000],
};

export const DATASETS: readonly Dataset[] = [CALLS, LETTERS, SCANS];

export const OWNERS = ['acme', 'birch'] as const;
export const PEOPLE = ['ada', 'ben', 'cleo', 'dora', 'emil', 'fay'] as const;

export function policyYaml(dataset: Dataset, database: string): string {
  const { policy, collection, activeMs, archiveMs, verify } = dataset;
  return [
    `policy: ${policy}`,
    'zone: UTC',
    `dataset: { collection: ${database}.${collection}, owner: { field: owner }, customer: { field: tenant }, facets: { subject: { field: person } } }`,
    'trigger: { field: at }',
    `active: PT${activeMs / MINUTE_MS}M`,
    'then: archive',
    `archive: { for: PT${archiveMs / MINUTE_MS}M, vault: cold, verify: ${verify}, maxWait: PT1M }`,
    'limits: { records: 1000000, share: 1.0 }',
    '',
  ].join('\n');
}
