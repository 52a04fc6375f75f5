import { existsSync } from 'node:fs';
import { expect, test } from 'vitest';
import { OPERATIONS, runClients } from '../conformance/run-clients.ts';
import { outcomeOf } from '../conformance/table.ts';
import { stackUrls } from '../harness/stack.ts';
import { PYTHON_SETUP_MS } from '../python/environment.ts';

const SETUP_AND_RUN_MS = PYTHON_SETUP_MS + 120_000;

test(
  'clients that nobody here wrote prove every operation: the SDKs for JavaScript and Python, the AWS CLI, boto 2.49',
  async () => {
    const reports = await runClients(stackUrls().s3);
    const { proven, failures, lines } = outcomeOf(reports);
    expect(failures).toEqual([]);
    expect(proven).toBe(33);
    expect(lines.at(-1)).toBe('33 of 33 operations proven');
    // Each of these three proves all of them by itself; boto 2 is older than half of them.
    for (const name of ['SDK for JavaScript', 'boto3', 'AWS CLI']) {
      const proofs = reports.find(({ client }) => client === name)?.proofs ?? [];
      expect(new Set(proofs.flatMap(({ operations }) => operations)), name).toEqual(new Set(OPERATIONS));
    }
    const boto2 = reports.find(({ client }) => client === 'boto 2.49');
    const isInstallable = existsSync('/etc/debian_version') && process.getuid?.() === 0;
    if (isInstallable) expect(boto2?.missing).toBeNull();
    if (boto2?.missing === null) expect(new Set(boto2.proofs.flatMap(({ operations }) => operations)).size).toBe(19);
  },
  SETUP_AND_RUN_MS,
);

test('a failed proof, and one of an operation that was never answered, count for nothing', () => {
  const proof = (operation: string, error: string | null) => ({ what: operation, operations: [operation], error });
  const { proven, failures, lines } = outcomeOf([
    { client: 'a', proofs: [proof('ListVaults', null), proof('DeleteVault', 'it was not deleted')], missing: null },
    { client: 'b', proofs: [proof('DeleteVault', null), proof('ListVaults', 'wrong')], missing: null },
    { client: 'c', proofs: [proof('CreateVault', 'wrong')], missing: null },
    { client: 'd', proofs: [], missing: 'not here' },
  ]);
  expect(proven).toBe(2);
  expect(failures).toHaveLength(3);
  expect(lines).toContain('not run: d: not here');
  expect(lines.find((line) => line.startsWith('ListVaults '))).toMatch(/ {2}a$/);
  expect(lines.find((line) => line.startsWith('CreateVault '))).toMatch(/NOT PROVEN$/);
  expect(lines.at(-1)).toBe('2 of 33 operations proven');
});
