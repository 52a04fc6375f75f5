import { describe, expect, test } from 'vitest';
import { RULES } from '../harness/import-rules.ts';
import { scanModules } from '../harness/module-graph.ts';
import { scanModule } from '../harness/module-scan.ts';

describe('scan', () => {
  test.each([
    [`import { a } from './a.ts';`, './a.ts', false, ['a']],
    [`import type { A } from './a.ts';`, './a.ts', true, ['A']],
    // Node loads it: only the name is erased.
    [`import { type A } from './a.ts';`, './a.ts', false, ['A']],
    [`import a, { b as c } from 'a';`, 'a', false, ['default', 'b']],
    [`import * as a from 'a';`, 'a', false, ['*']],
    [`import 'a';`, 'a', false, []],
    [`export { a as b } from './a.ts';`, './a.ts', false, ['a']],
    [`export type { A } from './a.ts';`, './a.ts', true, ['A']],
    [`export * from './a.ts';`, './a.ts', false, ['*']],
    [`const a = await import('./a.ts');`, './a.ts', false, ['*']],
    [`const a = await import(name);`, '(computed)', false, ['*']],
    [`type A = import('./a.ts').A;`, './a.ts', true, ['*']],
    [`const a = require('a');`, 'a', false, ['*']],
  ])('%s', (text, specifier, isTypeOnly, names) => {
    expect(scanModule('x.ts', text).imports).toEqual([{ specifier, isTypeOnly, names, line: 1 }]);
  });

  test.each([
    ['process.env.HOME', 'process.env'],
    [`process['env']`, 'process.env'],
    ['globalThis.process?.env', 'process.env'],
    ['const { env } = process', 'process.env'],
    ['new Date()', 'new Date()'],
    ['new globalThis.Date', 'new Date()'],
    ['Date.now()', 'Date.now'],
    ['const f = Date.now', 'Date.now'],
    ['const { now } = Date', 'Date.now'],
    ['Temporal.Now.instant()', 'Temporal.Now'],
    ['process.hrtime.bigint()', 'process.hrtime'],
    ['setTimeout(f, 1)', 'setTimeout()'],
    ['PurgeClaim.issue(a)', '.issue()'],
  ])('%s uses %s', (text, what) => {
    expect(scanModule('x.ts', text).uses.map((use) => use.what)).toContain(what);
  });

  test('a date that is given one, comments and texts are no uses', () => {
    const text = `// import fs from 'node:fs'; Date.now()\nconst a = new Date(0); const b = "import 'mongodb'";`;
    expect(scanModule('x.ts', text)).toEqual({ imports: [], uses: [] });
  });

  test('a line is told as an editor counts it', () => {
    const { imports, uses } = scanModule('x.ts', `\n\nimport 'a';\nconst b = 1;\nDate.now();`);
    expect(imports[0]?.line).toBe(3);
    expect(uses.find(({ what }) => what === 'Date.now')?.line).toBe(5);
  });

  test('a file that does not parse is no file without imports', () => {
    expect(() => scanModule('x.ts', 'import { from')).toThrow(/x\.ts/);
  });
});

describe('a planted violation is found', () => {
  const rule = (words: string) => {
    const found = RULES.filter(({ name }) => name.includes(words));
    expect(found, words).toHaveLength(1);
    return found[0]!;
  };
  const pure = 'policy and archive import no driver';
  const lifecycle = 'lifecycle imports ports';
  const app = 'only app constructs';
  const time = 'only clock reads';
  const waits = 'only clock waits';
  const opens = 'neither jobs nor console loads';
  const below = 'each part imports only';
  const product = 'the product imports nothing';

  test.each<[string, Record<string, string>, string]>([
    [pure, { 'src/policy/x.ts': `import 'node:fs';` }, 'src/policy/x.ts:1 imports node:fs'],
    [pure, { 'src/archive/x.ts': `const a = await fetch('http://a');` }, 'src/archive/x.ts:1 uses fetch()'],
    [
      pure,
      {
        'src/policy/x.ts': `import './y.ts';`,
        'src/policy/y.ts': `import '../z.ts';`,
        'src/z.ts': `import 'ioredis';`,
      },
      'src/policy/x.ts -> src/policy/y.ts -> src/z.ts:1 imports ioredis',
    ],
    [
      lifecycle,
      { 'src/lifecycle/x.ts': `import type { S } from '../ledger/mongo-store.ts';` },
      'src/lifecycle/x.ts:1 imports src/ledger/mongo-store.ts',
    ],
    [lifecycle, { 'src/lifecycle/x.ts': `import 'node:http';` }, 'src/lifecycle/x.ts:1 imports node:http'],
    ['import mongodb', { 'src/cli/x.ts': `import type { Db } from 'mongodb';` }, 'src/cli/x.ts:1 imports mongodb'],
    ['AWS SDK', { 'jobs/x.ts': `import '@aws-sdk/client-s3';` }, 'jobs/x.ts:1 imports @aws-sdk/client-s3'],
    ['only notify', { 'src/cli/x.ts': `import 'nodemailer';` }, 'src/cli/x.ts:1 imports nodemailer'],
    [
      'only notify',
      { 'src/vault/x.ts': `import '@aws-sdk/client-sns';` },
      'src/vault/x.ts:1 imports @aws-sdk/client-sns',
    ],
    ['only notify', { 'jobs/x.ts': "void fetch('http://127.0.0.1');" }, 'jobs/x.ts:1 uses fetch()'],
    [
      app,
      { 'src/cli/x.ts': `import { SmtpWay } from '../notify/smtp.ts';` },
      'src/cli/x.ts:1 imports src/notify/smtp.ts',
    ],
    ['bullmq', { 'src/console/x.ts': `import { Queue } from 'bullmq';` }, 'src/console/x.ts:1 imports bullmq'],
    ['pino', { 'src/cli/x.ts': `import pino from 'pino';` }, 'src/cli/x.ts:1 imports pino'],
    [
      app,
      { 'src/cli/x.ts': `import { connectMongo } from '../source/mongo-connect.ts';` },
      'src/cli/x.ts:1 imports src/source/mongo-connect.ts',
    ],
    [app, { 'jobs/x.ts': `import { createKeys } from '../src/keys/keys.ts';` }, 'jobs/x.ts:1 imports src/keys/keys.ts'],
    ['reads the environment', { 'src/log.ts': 'const a = process.env.LEVEL;' }, 'src/log.ts:1 uses process.env'],
    [
      'reads the environment',
      { 'jobs/x.ts': `import { env } from 'node:process';` },
      'jobs/x.ts:1 imports node:process',
    ],
    [time, { 'src/cli/x.ts': 'const a = new Date();' }, 'src/cli/x.ts:1 uses new Date()'],
    [time, { 'jobs/x.ts': `import 'node:perf_hooks';` }, 'jobs/x.ts:1 imports node:perf_hooks'],
    [waits, { 'src/ledger/x.ts': 'setTimeout(f, 10);' }, 'src/ledger/x.ts:1 uses setTimeout()'],
    ['proofs are issued', { 'src/lifecycle/x.ts': 'PurgeClaim.issue(a);' }, 'src/lifecycle/x.ts:1 uses .issue()'],
    [
      opens,
      { 'jobs/x.ts': `import '../src/a.ts';`, 'src/a.ts': `await import('./keys/identity-file.ts');` },
      'jobs/x.ts -> src/a.ts -> src/keys/identity-file.ts',
    ],
    [below, { 'src/ledger/x.ts': `import '../lifecycle/plan.ts';` }, 'src/ledger/x.ts:1 imports src/lifecycle/plan.ts'],
    [below, { 'src/vault/x.ts': `import type { C } from '../config.ts';` }, 'src/vault/x.ts:1 imports src/config.ts'],
    ['the ground', { 'src/errors.ts': `import './log.ts';` }, 'src/errors.ts:1 imports src/log.ts'],
    [product, { 'src/x.ts': `import '../test/harness/stack.ts';` }, 'src/x.ts:1 imports test/harness/stack.ts'],
    [product, { 'src/app.ts': `import './demo/x.ts';` }, 'src/app.ts:1 imports src/demo/x.ts'],
    ['only the CLI imports jobs', { 'src/app.ts': `import '../jobs/x.ts';` }, 'src/app.ts:1 imports jobs/x.ts'],
    [
      'stands alone',
      { 'infra/glacier-emulator/x.ts': `import '../../src/ids.ts';` },
      'infra/glacier-emulator/x.ts:1 imports src/ids.ts',
    ],
    [
      'the local stack',
      { 'infra/local-stack/x.ts': `import '../../src/log.ts';` },
      'infra/local-stack/x.ts:1 imports src/log.ts',
    ],
    ['no import is computed', { 'src/x.ts': 'await import(name);' }, 'src/x.ts:1 imports (computed)'],
  ])('%s: %o', (words, texts, violation) => {
    expect(rule(words).violations(scanModules(texts))).toContain(violation);
  });

  test('every rule has one', async () => {
    const planted = [
      pure,
      lifecycle,
      'import mongodb',
      'AWS SDK',
      'only notify',
      'bullmq',
      'pino',
      app,
      'reads the environment',
      time,
    ];
    planted.push(waits, 'proofs are issued', opens, below, 'the ground', product, 'only the CLI imports jobs');
    planted.push('stands alone', 'the local stack', 'no import is computed');
    expect(planted.map((words) => rule(words).name).sort()).toEqual(RULES.map(({ name }) => name).sort());
  });

  test('what the rules allow is let through', () => {
    const modules = scanModules({
      'src/policy/x.ts': `import { Temporal } from 'temporal-polyfill'; const a = new Date(0);`,
      'src/app.ts': `import { connectMongoStore } from './ledger/mongo-store.ts';`,
      'src/cli/x.ts': `import type { MongoStore } from '../ledger/mongo-store.ts'; import '../../jobs/daemon.ts';`,
      'src/ledger/x.ts': `import { MongoClient } from 'mongodb'; A.issue();`,
      'src/clock.ts': 'export const now = () => new Date();',
      'jobs/daemon.ts': `import { Worker } from 'bullmq'; import type { I } from '../src/keys/identity-file.ts';`,
      'test/x.ts': `import 'mongodb'; process.env.HOME; Date.now();`,
    });
    for (const { violations } of RULES) expect(violations(modules)).toEqual([]);
  });
});
