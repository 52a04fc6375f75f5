import { generateKeyPairSync } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { configJsonSchema } from '../../src/config/schema.ts';
import { loadConfig } from '../../src/config.ts';
import { MoraineError } from '../../src/errors.ts';
import { id } from '../../src/ids.ts';

const ALICE = 'age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p';

/** The example of the documentation, in a folder of its own. */
const EXAMPLE = `environment: sandbox
mongodb: { url: \${MORAINE_MONGODB_URL}, ledger: moraine }
redis: { url: \${MORAINE_REDIS_URL} }
vaults:
  cold:
    backend: glacier
    region: eu-west-1
    account: "-"
    endpoint: \${MORAINE_GLACIER_ENDPOINT}
owners:
  acme:
    administrators:
      - { name: alice@acme.example, recipient: ${ALICE} }
      - { name: safe, recipient: ${ALICE}, recovery: true }
policies: [policies/*.yaml]
`;

const URLS = {
  MORAINE_MONGODB_URL: 'mongodb://127.0.0.1:27017/?directConnection=true',
  MORAINE_REDIS_URL: 'redis://localhost:6379',
  MORAINE_GLACIER_ENDPOINT: 'http://127.0.0.1:8080',
};

let directory = '';
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'moraine-config-'));
  mkdirSync(join(directory, 'policies'));
  writeFileSync(join(directory, 'policies/b.yaml'), 'policy: b\n');
  writeFileSync(join(directory, 'policies/a.yaml'), 'policy: a\n');
});
afterEach(() => rmSync(directory, { recursive: true }));

const load = (text: string, environment: Record<string, string | undefined> = URLS) => {
  const file = join(directory, 'moraine.yaml');
  writeFileSync(file, text);
  return loadConfig(file, environment);
};

const failure = (text: string, environment: Record<string, string | undefined> = URLS): MoraineError => {
  try {
    load(text, environment);
  } catch (error) {
    if (error instanceof MoraineError) return error;
    throw error;
  }
  throw new Error('was accepted');
};

const lines = (error: MoraineError) => error.message.replaceAll(`${directory}/`, '').split('\n');

describe('a good moraine.yaml', () => {
  it('the documented example: every part, defaults filled in, names from the environment inside { }', () => {
    const config = load(EXAMPLE);
    expect(config).toMatchObject({
      directory,
      environment: 'sandbox',
      mongodb: { url: URLS.MORAINE_MONGODB_URL, ledger: 'moraine' },
      redis: { url: URLS.MORAINE_REDIS_URL },
      keys: { first: { url: URLS.MORAINE_MONGODB_URL, database: 'moraine' }, second: null, backupMaxAge: null },
      signingKeyPem: null,
      approvals: { required: null, validMs: 7 * 86_400_000, people: [], purgeStages: null },
      console: { host: '127.0.0.1', port: 0, bullBoardWritable: false },
    });
    expect(config.vaults.get(id.vaultKey('cold'))).toMatchObject({
      backend: 'glacier',
      account: '-',
      endpoint: URLS.MORAINE_GLACIER_ENDPOINT,
    });
    expect(config.owners.get(id.owner('acme'))).toEqual([
      { name: 'alice@acme.example', recipient: ALICE, recovery: false },
      { name: 'safe', recipient: ALICE, recovery: true },
    ]);
    expect(config.contacts.size).toBe(0);
    expect(config.policies).toEqual([
      { file: join(directory, 'policies/a.yaml'), text: 'policy: a\n' },
      { file: join(directory, 'policies/b.yaml'), text: 'policy: b\n' },
    ]);
  });

  it('JSON is read too; a port may come from the environment', () => {
    const config = load(
      JSON.stringify({
        environment: 'non-production',
        mongodb: { url: 'mongodb+srv://db.example' },
        vaults: { cold: { backend: 'glacier', region: 'eu-west-1' } },
        policies: ['policies/a.yaml', 'policies/*.yaml'],
        keys: { database: 'keys', second: { url: 'mongodb://k2.example', database: 'keys' }, backupMaxAge: '35 days' },
        console: { port: `\${PORT}` },
      }),
      { PORT: '8443' },
    );
    expect(config.redis).toBeNull();
    expect(config.console.port).toBe(8443);
    expect(config.policies).toHaveLength(2);
    expect(config.keys).toEqual({
      first: { url: 'mongodb+srv://db.example', database: 'keys' },
      second: { url: 'mongodb://k2.example', database: 'keys' },
      backupMaxAge: 'P35D',
      proofEvery: 'P1Y',
    });
  });

  it('production with a signing key: the path is relative to the file', () => {
    const pem = String(generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }));
    writeFileSync(join(directory, 'key.pem'), pem);
    const text = `${EXAMPLE.replace('sandbox', 'production')}signingKey: key.pem\n`;
    expect(load(text).signingKeyPem).toBe(pem);
  });
});

describe('a wrong moraine.yaml: file, line, field, expected, found', () => {
  it('no file: says how to get one', () => {
    expect(() => loadConfig(join(directory, 'none.yaml'), {})).toThrow(
      expect.objectContaining({ code: 'CONFIG_INVALID', hint: expect.stringContaining('moraine init') }),
    );
  });

  it('a variable that is not set: its line and name', () => {
    const error = failure(EXAMPLE, { ...URLS, MORAINE_REDIS_URL: undefined });
    expect(error.code).toBe('CONFIG_INVALID');
    expect(lines(error)).toEqual([
      'moraine.yaml:3: expected the environment variable MORAINE_REDIS_URL, found it is not set. Set MORAINE_REDIS_URL, or write the value into the file.',
    ]);
    expect(error.ids).toMatchObject({ line: 3 });
  });

  it('all problems at once, in the order of the file', () => {
    const text = EXAMPLE.replace('sandbox', 'prod')
      .replace('ledger: moraine', 'ledger: admin')
      .replace('region: eu-west-1', 'reigon: eu-west-1')
      .replace(ALICE, ALICE.replace('ql3z', 'ql3y'))
      .concat('console: { port: 70000 }\n');
    const found = lines(failure(text));
    expect(found).toEqual([
      'moraine.yaml:1: environment: expected "sandbox" or "non-production" or "production", found "prod"',
      'moraine.yaml:2: mongodb.ledger: expected a database that is not one of the server\'s own, found "admin"',
      expect.stringMatching(/^moraine\.yaml:5: vaults\.cold\.region: expected .*, found nothing$/),
      'moraine.yaml:7: vaults.cold.reigon: expected one of backend, region, account, endpoint, prefix, credentials, roles, bucket, storageClass, objectLock, encryption, found "reigon"',
      expect.stringMatching(/^moraine\.yaml:13: owners\.acme\.administrators\[0\]\.recipient: .*checksum is wrong/),
      'moraine.yaml:16: console.port: expected at most 65535, found 70000',
    ]);
  });

  it('a key twice, and text that is no YAML: the line', () => {
    expect(lines(failure(`${EXAMPLE}policies: [x]\n`))[0]).toMatch(/^moraine\.yaml:16: expected each key once/);
    expect(lines(failure('mongodb: {\nx'))[0]).toMatch(/^moraine\.yaml:\d: expected valid YAML/);
    expect(lines(failure(''))[0]).toBe('moraine.yaml:1: expected a map, found nothing');
  });

  it('policies that are not there: the entry', () => {
    const error = failure(EXAMPLE.replace('[policies/*.yaml]', '[policies/*.yaml, other/*.yaml]'));
    expect(lines(error)).toEqual([
      'moraine.yaml:15: policies[1]: expected at least one policy file of that name, found no file that matches "other/*.yaml"',
    ]);
  });

  it('production without a signing key; a signing key that is none', () => {
    const production = EXAMPLE.replace('sandbox', 'production');
    expect(lines(failure(production))[0]).toMatch(/signingKey: expected a file with an Ed25519 .* in production/);
    expect(lines(failure(`${production}signingKey: policies/a.yaml\n`))[0]).toMatch(/:16: signingKey: .*PEM form/);
    expect(lines(failure(`${production}signingKey: nowhere.pem\n`))[0]).toMatch(/:16: signingKey: .*can be read/);
  });

  it('a second key store that is the first: refused', () => {
    const text = `${EXAMPLE}keys: { second: { url: \${MORAINE_MONGODB_URL}, database: moraine } }\n`;
    expect(lines(failure(text))[0]).toMatch(/:16: keys\.second: expected another database/);
  });
});

describe('a sandbox has addresses on this machine only', () => {
  const outside = (environment: Partial<typeof URLS>) => failure(EXAMPLE, { ...URLS, ...environment });

  it.each([
    ['MORAINE_MONGODB_URL', 'mongodb://db.example:27017', 2],
    ['MORAINE_MONGODB_URL', 'mongodb://127.0.0.1:27017,db.example:27017/', 2],
    ['MORAINE_MONGODB_URL', 'mongodb://127.0.0.1@db.example/', 2],
    ['MORAINE_MONGODB_URL', 'mongodb+srv://localhost.example/', 2],
    ['MORAINE_REDIS_URL', 'redis://:secret@10.0.0.5:6379', 3],
    ['MORAINE_GLACIER_ENDPOINT', 'https://glacier.eu-west-1.amazonaws.com', 9],
    ['MORAINE_GLACIER_ENDPOINT', 'http://127.0.0.1.example:80', 9],
  ])('%s = %s: ENVIRONMENT_MISMATCH', (name, url, line) => {
    const error = outside({ [name]: url });
    expect(error.code).toBe('ENVIRONMENT_MISMATCH');
    expect(lines(error)).toHaveLength(1);
    expect(lines(error)[0]).toContain(`moraine.yaml:${line}: `);
  });

  it('a vault without an endpoint is the real service: refused', () => {
    const text = EXAMPLE.replace(/ {4}endpoint.*\n/, '');
    expect(failure(text).code).toBe('ENVIRONMENT_MISMATCH');
  });

  it('every way to say this machine is accepted', () => {
    for (const host of ['localhost', '127.0.0.1:1', '[::1]:27017', 'u:p%40@127.0.0.1', '127.0.0.1:1,localhost:2']) {
      expect(load(EXAMPLE, { ...URLS, MORAINE_MONGODB_URL: `mongodb://${host}/` }).environment).toBe('sandbox');
    }
  });
});

describe('secrets', () => {
  it('a value from the environment and a password in the file are in no message', () => {
    const secret = 'hunter2';
    const texts = [
      failure(EXAMPLE, { ...URLS, MORAINE_MONGODB_URL: `postgres://u:${secret}@h/` }),
      failure(EXAMPLE, { ...URLS, MORAINE_MONGODB_URL: `mongodb://u:${secret}@db.example/` }),
      failure(EXAMPLE.replace(/redis: .*/, `redis: { url: "http://u:${secret}@h" }`)),
      failure(EXAMPLE.replace(/redis: .*/, `redis: { url: "redis://:${secret}@db.example" }`)),
      failure(EXAMPLE.replace('account: "-"', 'credentials: { accessKeyId: 7, secretAccessKey: [hunter2] }')),
      failure(EXAMPLE.replace('account: "-"', 'credentials: { accessKeyId: x, secretAccessKey: hunter2: 1 }')),
    ];
    for (const error of texts) expect(inspect(error, { depth: 9 })).not.toContain(secret);
    expect(lines(texts[2]!)[0]).toContain('found "http://***@h"');
  });
});

it('who looks at what is in quarantine: the contact of an owner that names one', () => {
  const { contacts } = load(EXAMPLE.replace('  acme:\n', '  acme:\n    contact: records@acme.example\n'));
  expect([...contacts]).toEqual([[id.owner('acme'), 'records@acme.example']]);
});

describe('ways of telling owners', () => {
  const notify = (way: string) =>
    `${EXAMPLE}notify: { ways: { mine: ${way} }, beforePurge: { days: 14, records: 1000 } }\n`;
  const SECRET = 'a secret of enough length';

  it('are read with their secret from the environment, which no message shows', () => {
    const way = `{ kind: webhook, url: "http://127.0.0.1:1/x", secret: "\${HOOK}", owners: [acme] }`;
    const config = load(notify(way), { ...URLS, HOOK: SECRET });
    expect(config.notify).toMatchObject({ ways: { mine: { kind: 'webhook', secret: SECRET, owners: ['acme'] } } });
    const short = failure(notify(way), { ...URLS, HOOK: 'geheim' });
    expect(short.message).toContain('notify.ways.mine.secret');
    expect(inspect(short)).not.toContain('geheim');
  });

  it.each([
    ['{ kind: webhook, url: "http://hooks.example/x", secret: 0123456789abcdef }', 'an https address'],
    ['{ kind: smtp, url: "http://mail.example", from: a@example.com }', 'a mail server such as'],
    ['{ kind: smtp, url: "smtps://mail.example", from: "a@example.com, b@example.com" }', 'one mail address'],
    ['{ kind: sns, region: eu-west-1, topic: mine }', 'the ARN of an SNS topic'],
  ])('%s is refused', (way, words) => {
    expect(failure(notify(way).replace('sandbox', 'non-production')).message).toContain(words);
  });

  it.each([
    ['{ kind: smtp, url: "smtps://mail.example", from: a@example.com }', 'notify.ways.mine.url'],
    ['{ kind: ses, region: eu-west-1, from: a@example.com }', 'notify.ways.mine.endpoint'],
  ])('a sandbox sends nothing to the outside: %s', (way, field) => {
    const error = failure(notify(way));
    expect(error.code).toBe('ENVIRONMENT_MISMATCH');
    expect(error.message).toContain(field);
    expect(load(notify(way).replace('sandbox', 'non-production')).notify?.beforePurge).toEqual({
      days: 14,
      records: 1000,
    });
  });
});

it('placement: regions as one or a list; a key store without a server of its own is where the ledger is', () => {
  const text = EXAMPLE.replace('ledger: moraine', 'ledger: moraine, region: eu-west-1');
  const one = load(text.replace('  acme:\n', '  acme:\n    region: eu-west-1\n')).placement;
  expect(one.required.get(id.owner('acme'))).toEqual(['eu-west-1']);
  expect([one.source, one.keyStores]).toEqual(['eu-west-1', [{ name: 'keys', region: 'eu-west-1' }]]);
  const own = `${text}keys: { url: "mongodb://127.0.0.1:1/" }\n`.replace(
    '  acme:\n',
    '  acme:\n    region: [eu-west-1, rack-7]\n',
  );
  expect(load(own).placement.keyStores).toEqual([{ name: 'keys', region: null }]);
  expect(load(own).placement.required.get(id.owner('acme'))).toEqual(['eu-west-1', 'rack-7']);
  expect(load(EXAMPLE).placement.required.size).toBe(0);
  const stores = load(
    `${EXAMPLE}attachments: { videos: { region: eu-central-1 } }\n`.replace('sandbox', 'non-production'),
  );
  expect([...stores.placement.attachments]).toEqual([['videos', 'eu-central-1']]);
});

it('moraine.schema.json is what the schema says (else: node scripts/write-config-schema.ts)', () => {
  const written: unknown = JSON.parse(readFileSync(new URL('../../moraine.schema.json', import.meta.url), 'utf8'));
  expect(written).toEqual(JSON.parse(JSON.stringify(configJsonSchema())));
});

it('docs/configuration.md: its example loads, its table has exactly the fields of the schema', () => {
  const page = readFileSync(new URL('../../docs/configuration.md', import.meta.url), 'utf8');
  const example = page.slice(page.indexOf('    environment:'), page.indexOf('\n\n`${'));
  const text = example.replaceAll(/^ {4}/gm, '').replaceAll('age1...', ALICE);
  expect(load(`${text}\n`).owners.get(id.owner('acme'))).toHaveLength(2);

  const { properties } = configJsonSchema();
  const fields = Object.entries(properties ?? {}).flatMap(([name, schema]) =>
    'properties' in schema ? Object.keys(schema.properties).map((inner) => `${name}.${inner}`) : [name],
  );
  expect([...page.matchAll(/^\| `([^`]+)`/gm)].map((row) => row[1]).sort()).toEqual(fields.sort());
});
