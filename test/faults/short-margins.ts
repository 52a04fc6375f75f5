/**
 * Leases, announcements and waits of the product, made seconds instead of minutes, so that what comes after a kill is
 * seen in a short run. The numbers keep their order (a call ends inside a lease, a reserve inside an announcement). They
 * are put into the text of the modules as Node loads them: product code has no switch for tests. A constant that is not
 * found any more is an error, not a silence.
 */

const CONSTANTS: readonly (readonly [file: string, constant: string, value: string])[] = [
  ['src/ledger/leases.ts', 'LEASE_MS', '12_000'],
  ['src/ledger/leases.ts', 'LONGEST_CALL_MS', '3_000'],
  ['src/ledger/leases.ts', 'LEASE_STOP_BEFORE_END_MS', 'LONGEST_CALL_MS + 1_000'],
  ['src/ledger/in-flight.ts', 'ANNOUNCEMENT_MS', '4_000'],
  ['src/ledger/in-flight.ts', 'ANNOUNCEMENT_RESERVE_MS', '2_000'],
  ['src/ledger/holds.ts', 'ANNOUNCEMENT_SKEW_MS', '1_000'],
  ['src/ledger/holds.ts', 'RELEASE_GRACE_MS', '1_000'],
  ['src/ledger/attempts.ts', 'ABANDONED_MARGIN_MS', '6_000'],
  ['src/ledger/inventories.ts', 'ASKING_MARGIN_MS', '5_000'],
  // Archives of a few MiB go out in parts.
  ['src/lifecycle/store-archive.ts', 'PART_BYTES', '1024 * 1024'],
];

const MARGINS: readonly (readonly [field: string, ms: string])[] = [
  ['watchdogEveryMs', '2_000'],
  ['quietMs', '1_000'],
  ['failedAgainAfterMs', '4_000'],
  ['catchUpAfterMs', '1_000'],
  ['outageRetryMs', '1_000'],
  ['gateRetryMs', '1_000'],
  ['leaseRetryMs', '1_000'],
  ['laterRetryMs', '1_000'],
  ['lockMs', '5_000'],
  ['stalledEveryMs', '2_000'],
];

/** The daemon's own calendar, with seconds. */
const SCHEDULES: readonly (readonly [queue: string, pattern: string])[] = [
  ['purge', '*/5 * * * * *'],
  ['reconcile', '*/4 * * * * *'],
  ['retrieve', '*/20 * * * * *'],
];

/** The text of a product module as a faulty world runs it. Throws when a constant is not there. */
export function withShortMargins(path: string, text: string): string {
  let changed = text;
  for (const [file, constant, value] of CONSTANTS) {
    if (!path.endsWith(`/${file}`)) continue;
    changed = replaceOne(changed, new RegExp(`^export const ${constant} = .*;$`, 'm'), path, () => {
      return `export const ${constant} = ${value};`;
    });
  }
  if (path.endsWith('/jobs/margins.ts')) {
    for (const [field, ms] of MARGINS) {
      changed = replaceOne(changed, new RegExp(`^  ${field}: [\\d_* ]+,$`, 'm'), path, () => `  ${field}: ${ms},`);
    }
  }
  if (path.endsWith('/jobs/schedules.ts')) {
    for (const [queue, pattern] of SCHEDULES) {
      changed = replaceOne(changed, new RegExp(`^  ${queue}: '[^']*',$`, 'm'), path, () => `  ${queue}: '${pattern}',`);
    }
  }
  return changed;
}

function replaceOne(text: string, pattern: RegExp, path: string, replacement: () => string): string {
  if (!pattern.test(text)) throw new Error(`${path} has no ${pattern}: short-margins.ts must follow the product`);
  return text.replace(pattern, replacement);
}
