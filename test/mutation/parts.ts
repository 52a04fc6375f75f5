/** The parts that are mutated. Each is judged by its own tests alone: what only a test of another part would notice survives. `scripts/mutate.ts` names the part of a run. */

interface Part {
  /** What is mutated. */
  readonly mutate: readonly string[];
  readonly tests: readonly string[];
  /** Mutants of what runs when a module is loaded (constants, tables): each one meets every test of the part. */
  readonly ignoreStatic: boolean;
}

export const PARTS: Readonly<Record<string, Part>> = {
  policy: { mutate: ['src/policy/**/*.ts'], tests: ['test/unit/policy-*.test.ts'], ignoreStatic: false },
  ledger: {
    mutate: [
      'src/ledger/**/*.ts',
      // These speak with a server, which no mutant is given; the contract suites hold them to the memory store.
      '!src/ledger/mongo-*.ts',
      // The ledger's fake in memory: a part of the tests, held to the real one by the same contract suites.
      '!src/ledger/memory-*.ts',
    ],
    tests: ['test/unit/ledger-*.test.ts'],
    ignoreStatic: true,
  },
  lifecycle: { mutate: ['src/lifecycle/**/*.ts'], tests: ['test/unit/lifecycle-*.test.ts'], ignoreStatic: true },
};

/** The part of this run. Stryker's own processes inherit the variable. */
export function partOfThisRun(): { readonly name: string; readonly part: Part } {
  const name = process.env['MORAINE_MUTATE'] ?? '';
  const part = PARTS[name];
  if (part === undefined) throw new Error(`MORAINE_MUTATE is one of ${Object.keys(PARTS).join(', ')}, not "${name}".`);
  return { name, part };
}
