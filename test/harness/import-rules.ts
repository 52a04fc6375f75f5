/**
 * Who may import what, and who may touch what: the rules that make the folders an architecture (`docs/architecture.md`).
 * Each rule takes the modules and says what breaks it, as `file:line does what`. Tests and benches are free, where a
 * rule does not name them.
 */
import { type Modules, reachable, targetOf } from './module-graph.ts';
import type { Import } from './module-scan.ts';

export interface Rule {
  readonly name: string;
  violations(modules: Modules): string[];
}

/** Code that computes and nothing else: no file, no socket, no process, no clock. */
const PURE_PACKAGES = [
  'node:crypto',
  'node:zlib',
  'node:util',
  'node:buffer',
  'node:stream',
  'node:stream/promises',
  'bson',
  'zod',
  'yaml',
  'tar-stream',
  'temporal-polyfill',
  'cron-parser',
  'p-map',
  '@aws-crypto/client-node',
];

/** What every part may import: small, and without a part of its own. */
const GROUND = [
  'errors',
  'ids',
  'clock',
  'canonical-json',
  'environment',
  'attachment-facts',
  'yaml-problems',
  'without-credentials',
].map((name) => `src/${name}.ts`);

/** What is told, and how a way looks from outside: without any of the clients. */
const NOTIFY_WORDS = ['src/notify/port.ts', 'src/notify/telling.ts', 'src/notify/notice.ts'];

/** The parts below the application, and what each may import besides itself and the ground. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  'src/policy/': ['src/source/port.ts'],
  'src/archive/': ['src/keys/port.ts'],
  'src/source/': ['src/ledger/warrants.ts'],
  'src/vault/': ['src/archive/tree-hash.ts', 'src/ledger/warrants.ts'],
  'src/keys/': ['src/ledger/store.ts', 'src/ledger/update.ts', 'src/ledger/indexes.ts', 'src/vault/vault-config.ts'],
  'src/ledger/': [
    'src/policy/exception.ts',
    'src/notify/telling.ts',
    'src/source/port.ts',
    'src/source/driver-errors.ts',
    'src/vault/port.ts',
    'src/keys/port.ts',
  ],
  'src/notify/': ['src/policy/terms.ts', 'src/vault/vault-config.ts'],
  'src/lifecycle/': [
    'src/policy/',
    'src/archive/',
    'src/ledger/',
    'src/source/port.ts',
    'src/source/bson-order.ts',
    'src/vault/port.ts',
    'src/vault/heads-port.ts',
    'src/vault/retrieval-files.ts',
    'src/keys/port.ts',
    'src/keys/public-keys.ts',
    ...NOTIFY_WORDS,
  ],
};

const ADAPTERS = [
  /^src\/(source|ledger|vault)\/(mongo|memory|glacier|s3)\b[\w-]*\.ts$/,
  /^src\/source\/(raw-command|guarded-delete)\.ts$/,
  /^src\/vault\/(create-vault|aws-client|heads-s3|heads-memory|retrieval-folder)\.ts$/,
  /^src\/keys\/(keys|key-store|kms-wrapping|memory-kms)\.ts$/,
  /^src\/notify\/(smtp|ses|sns|webhook|memory-way|create-ways)\.ts$/,
];
/** Tables beside a backend: data, not the adapter. */
const TABLES = /-actions\.ts$/;
const isAdapter = (file: string) => ADAPTERS.some((pattern) => pattern.test(file)) && !TABLES.test(file);

/** Only these can open an archive. */
const IDENTITY_FILES = ['src/keys/administrator.ts', 'src/keys/identity-file.ts', 'src/keys/kms-opening.ts'];

const TIME_READS =
  /^(Date\.now|new Date\(\)|Date\(\)|performance\.(now|timeOrigin)|Temporal\.Now\b.*|process\.(hrtime|uptime)\b.*)$/;
const MAY_WAIT = ['jobs/', 'src/console/', 'src/cli/', 'src/demo/'];
const WAITS = /^set(Timeout|Interval)\(\)$/;

export const RULES: readonly Rule[] = [
  {
    name: 'policy and archive import no driver and do no I/O, however far down',
    violations: (modules) => [
      ...impureImports(modules, ['src/policy/', 'src/archive/']),
      ...uses(modules, (file) => under(file, 'src/policy/', 'src/archive/'), /^(fetch\(\)|process\..*)$/),
    ],
  },
  {
    name: 'lifecycle imports ports and pure code: no adapter, no driver, however far down',
    violations: (modules) => [
      ...impureImports(modules, ['src/lifecycle/']),
      ...imports(modules, (file, one) => under(file, 'src/lifecycle/') && isAdapter(targetOf(file, one) ?? '')),
    ],
  },
  {
    name: 'only source and ledger import mongodb',
    violations: (modules) => packagesOutside(modules, /^mongodb(\/|$)/, ['src/source/', 'src/ledger/']),
  },
  {
    name: 'only vault, keys, source and notify import the AWS SDK',
    violations: (modules) =>
      packagesOutside(modules, /^@(aws-sdk|smithy)\//, ['src/vault/', 'src/keys/', 'src/source/', 'src/notify/']),
  },
  {
    // The SDK makes no request out of an address that it has signed.
    name: 'only notify sends mail, messages and HTTP requests (and the demo, to the emulator, and deletes with a deadline)',
    violations: (modules) => [
      ...packagesOutside(modules, /^(nodemailer|@aws-sdk\/client-(ses|sesv2|sns)|undici)(\/|$)/, ['src/notify/']),
      ...uses(
        modules,
        (file) => isProduct(file) && !under(file, 'src/notify/', 'src/demo/', 'src/source/attachments-s3-delete.ts'),
        /^fetch\(\)$/,
      ),
    ],
  },
  {
    name: 'only jobs imports bullmq',
    violations: (modules) => packagesOutside(modules, /^bullmq(\/|$)/, ['jobs/']),
  },
  {
    name: 'only log imports pino',
    violations: (modules) => packagesOutside(modules, /^pino(-pretty)?(\/|$)/, ['src/log.ts']),
  },
  {
    // A type says what an adapter looks like and builds none. `lifecycle` may not even know the type (above).
    name: 'only app constructs adapters (and the demo)',
    violations: (modules) =>
      imports(modules, (file, one) => {
        const target = targetOf(file, one) ?? '';
        const isAllowed = file === 'src/app.ts' || under(file, 'src/demo/') || folderOf(file) === folderOf(target);
        return isProduct(file) && isAdapter(target) && !one.isTypeOnly && !isAllowed;
      }),
  },
  {
    name: 'only config reads the environment',
    violations: (modules) => [
      ...uses(modules, (file) => isProduct(file) && file !== 'src/config.ts', /^process\.env\b/),
      ...packagesOutside(modules, /^(node:)?process$/, []),
    ],
  },
  {
    name: 'only clock reads the time',
    violations: (modules) => [
      ...uses(modules, (file) => isProduct(file) && file !== 'src/clock.ts', TIME_READS),
      ...packagesOutside(modules, /^(node:)?perf_hooks$/, []),
    ],
  },
  {
    // What serves processes and people keeps deadlines of its own; the acts wait through the clock.
    name: 'below the application only clock waits',
    violations: (modules) => [
      ...uses(modules, (file) => isProduct(file) && !under(file, 'src/clock.ts', ...MAY_WAIT), WAITS),
      ...packagesOutside(modules, /^(node:)?timers(\/promises)?$/, MAY_WAIT),
    ],
  },
  {
    name: 'proofs are issued in the ledger, where the fact is established (and for manifests in archive/inspect)',
    violations: (modules) =>
      uses(modules, (f) => isProduct(f) && !under(f, 'src/ledger/', 'src/archive/inspect.ts'), /^\.issue\(\)$/),
  },
  {
    name: 'neither jobs nor console loads what opens archives',
    violations: (modules) =>
      [...modules.keys()]
        .filter((file) => under(file, 'jobs/', 'src/console/'))
        .flatMap((start) => reachable(modules, start))
        .filter(({ file }) => IDENTITY_FILES.includes(file))
        .map(({ way }) => `${way.join(' -> ')}`),
  },
  {
    name: 'each part imports only the parts below it',
    violations: (modules) =>
      Object.entries(MAY_IMPORT).flatMap(([part, allowed]) =>
        imports(modules, (file, one) => {
          const target = targetOf(file, one);
          return target !== null && under(file, part) && !under(target, part, ...allowed, ...GROUND);
        }),
      ),
  },
  {
    name: 'the ground imports only the ground',
    violations: (modules) =>
      imports(modules, (file, one) => {
        const target = targetOf(file, one);
        return target !== null && GROUND.includes(file) && !GROUND.includes(target);
      }),
  },
  {
    name: 'the product imports nothing from test and bench, and only the CLI the demo',
    violations: (modules) =>
      imports(modules, (file, one) => {
        const target = targetOf(file, one) ?? '';
        const isDemo = under(target, 'src/demo/') && !under(file, 'src/demo/', 'src/cli/');
        return isProduct(file) && (isDemo || under(target, 'test/', 'bench/', 'scripts/'));
      }),
  },
  {
    name: 'only the CLI imports jobs, and nobody but the CLI imports the CLI',
    violations: (modules) =>
      imports(modules, (file, one) => {
        const target = targetOf(file, one) ?? '';
        const isUpward =
          (under(target, 'jobs/') && !under(file, 'jobs/')) || (under(target, 'src/cli/') && !under(file, 'src/cli/'));
        return isProduct(file) && isUpward && !under(file, 'src/cli/');
      }),
  },
  {
    name: 'the Glacier emulator stands alone',
    violations: (modules) =>
      imports(modules, (file, one) => {
        const target = targetOf(file, one);
        return target !== null && under(file, 'infra/glacier-emulator/') && !under(target, 'infra/glacier-emulator/');
      }),
  },
  {
    name: 'the local stack imports only the errors of the product',
    violations: (modules) =>
      imports(modules, (file, one) => {
        const target = targetOf(file, one);
        return target !== null && under(file, 'infra/local-stack/') && !under(target, 'infra/', 'src/errors.ts');
      }),
  },
  {
    name: 'no import is computed, so that these rules see them all',
    violations: (modules) => imports(modules, (file, one) => isProduct(file) && one.specifier === '(computed)'),
  },
];

function under(file: string, ...places: readonly string[]): boolean {
  return places.some((place) => (place.endsWith('/') ? file.startsWith(place) : file === place));
}

function isProduct(file: string): boolean {
  return under(file, 'src/', 'jobs/');
}

function folderOf(file: string): string {
  return file.slice(0, file.lastIndexOf('/'));
}

function imports(modules: Modules, isWrong: (file: string, one: Import) => boolean): string[] {
  return [...modules].flatMap(([file, facts]) =>
    facts.imports
      .filter((one) => isWrong(file, one))
      .map((one) => `${file}:${one.line} imports ${targetOf(file, one) ?? one.specifier}`),
  );
}

function uses(modules: Modules, isMeant: (file: string) => boolean, pattern: RegExp): string[] {
  return [...modules]
    .filter(([file]) => isMeant(file))
    .flatMap(([file, facts]) =>
      facts.uses.filter(({ what }) => pattern.test(what)).map(({ what, line }) => `${file}:${line} uses ${what}`),
    );
}

function packagesOutside(modules: Modules, pattern: RegExp, places: readonly string[]): string[] {
  return imports(modules, (file, one) => isProduct(file) && pattern.test(one.specifier) && !under(file, ...places));
}

/** Packages outside of the pure ones that load with a file of these places, with the way to them. */
function impureImports(modules: Modules, places: readonly string[]): string[] {
  return [...modules.keys()]
    .filter((file) => under(file, ...places))
    .flatMap((start) =>
      reachable(modules, start).flatMap(({ file, way }) =>
        (modules.get(file)?.imports ?? [])
          .filter((one) => targetOf(file, one) === null && !one.isTypeOnly && !PURE_PACKAGES.includes(one.specifier))
          .map((one) => `${way.join(' -> ')}:${one.line} imports ${one.specifier}`),
      ),
    );
}
