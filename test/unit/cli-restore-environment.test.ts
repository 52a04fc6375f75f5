/** Where a restore may go: what is not known not to be production is refused. */
import { describe, expect, test } from 'vitest';
import { assertNoProductionLedger, assertPlaceAllowed, hostsOf } from '../../src/cli/restore-environment.ts';
import type { Environment } from '../../src/environment.ts';
import { isMoraineError } from '../../src/errors.ts';

const OWN = 'mongodb://app:secret@mongo-1.staging.example,mongo-2.staging.example:27018/?replicaSet=rs';

function isRefused(into: string, environment: Environment = 'non-production', restoreHosts: readonly string[] = []) {
  try {
    assertPlaceAllowed({ environment, mongodb: { url: OWN, ledger: 'moraine' }, restoreHosts }, into);
    return false;
  } catch (error) {
    expect(isMoraineError(error, 'ENVIRONMENT_MISMATCH')).toBe(true);
    expect(String(error)).not.toContain('secret');
    return true;
  }
}

describe('non-production', () => {
  test.each([
    ['its own server, by another user and database', 'mongodb://jo:x@MONGO-1.staging.example:27017/other', []],
    ['one of its own hosts', 'mongodb://mongo-2.staging.example:27018', []],
    ['a host that is listed', 'mongodb://127.0.0.1', ['127.0.0.1:27017']],
    ['a name in DNS that is listed', 'mongodb+srv://cluster.dev.example/?x=1', ['Cluster.dev.example']],
  ])('goes to %s', (_, into, hosts) => {
    expect(isRefused(into, 'non-production', hosts)).toBe(false);
  });

  test.each([
    ['a server that nobody named', 'mongodb://mongo.example', []],
    ['another port of its own host', 'mongodb://mongo-1.staging.example:27018', []],
    ['a set of which one host is listed', 'mongodb://known.example,other.example', ['known.example']],
    [
      'a host hidden behind a user that looks like one',
      'mongodb://known.example:27017@mongo.example',
      ['known.example'],
    ],
    ['what is no address', 'known.example', ['known.example']],
    ['an address without a host', 'mongodb://', ['known.example']],
  ])('does not go to %s', (_, into, hosts) => {
    expect(isRefused(into, 'non-production', hosts)).toBe(true);
  });
});

test('a sandbox goes to this machine only; production to wherever its person says', () => {
  expect(isRefused('mongodb://127.0.0.1:1', 'sandbox')).toBe(false);
  expect(isRefused('mongodb://mongo.example', 'sandbox', ['mongo.example'])).toBe(true);
  expect(isRefused('mongodb://mongo.example', 'production')).toBe(false);
});

test('a ledger of production on the server refuses it', () => {
  expect(() => assertNoProductionLedger([])).not.toThrow();
  expect(() => assertNoProductionLedger(['moraine'])).toThrow(/server of production: database moraine/);
});

test('hosts come with their port, in lower case', () => {
  expect(hostsOf('mongodb://a:b@ONE,two:3/x?y')).toEqual(['one:27017', 'two:3']);
});
