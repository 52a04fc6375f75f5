import { describe, expect, test } from 'vitest';
import { isMoraineError, MoraineError } from '../../src/errors.ts';
import { translateError } from '../../src/vault/translate-error.ts';

const reading = { what: 'read', location: null, effect: null };
const writing = { what: 'write', location: null, effect: 'It may be written.' };

function service(name: string, httpStatusCode: number): Error {
  return Object.assign(new Error('text'), { name, $metadata: { httpStatusCode } });
}

function system(code: string): Error {
  return Object.assign(new Error('text'), { code });
}

describe('errors of the AWS SDK', () => {
  test.each([
    ['ThrottlingException', 400, 'VAULT_THROTTLED', 'VAULT_THROTTLED'],
    ['SlowDown', 503, 'VAULT_THROTTLED', 'VAULT_THROTTLED'],
    ['InsufficientCapacityException', 400, 'VAULT_THROTTLED', 'VAULT_THROTTLED'],
    ['ResourceNotFoundException', 404, 'VAULT_NOT_FOUND', 'VAULT_NOT_FOUND'],
    ['NoSuchKey', 404, 'VAULT_NOT_FOUND', 'VAULT_NOT_FOUND'],
    ['ServiceUnavailableException', 500, 'VAULT_UNAVAILABLE', 'VAULT_OUTCOME_UNKNOWN'],
    ['RequestTimeoutException', 408, 'VAULT_UNAVAILABLE', 'VAULT_OUTCOME_UNKNOWN'],
    ['SyntaxError', 200, 'VAULT_UNAVAILABLE', 'VAULT_OUTCOME_UNKNOWN'],
    ['AccessDeniedException', 403, 'VAULT_REFUSED', 'VAULT_REFUSED'],
    ['NoLongerSupportedException', 400, 'VAULT_REFUSED', 'VAULT_REFUSED'],
    ['PolicyEnforcedException', 400, 'VAULT_REFUSED', 'VAULT_REFUSED'],
  ])('%s %i: reading is %s, writing is %s', (name, status, read, written) => {
    expect(translateError(service(name, status), reading)).toMatchObject({ code: read });
    expect(translateError(service(name, status), writing)).toMatchObject({ code: written });
  });

  test.each([
    ['ECONNREFUSED', 'VAULT_UNAVAILABLE'],
    ['ENOTFOUND', 'VAULT_UNAVAILABLE'],
    ['ECONNRESET', 'VAULT_OUTCOME_UNKNOWN'],
    ['EPIPE', 'VAULT_OUTCOME_UNKNOWN'],
    ['ETIMEDOUT', 'VAULT_OUTCOME_UNKNOWN'],
  ])('a write that ends with %s: %s, for it was sent or not', (code, expected) => {
    expect(translateError(system(code), writing)).toMatchObject({ code: expected });
    expect(translateError(system(code), reading)).toMatchObject({ code: 'VAULT_UNAVAILABLE' });
  });

  test('an outcome that is not known says what may have changed', () => {
    const error = translateError(system('ECONNRESET'), writing);
    expect(isMoraineError(error, 'VAULT_OUTCOME_UNKNOWN') && error.changed).toBe('It may be written.');
  });

  test('both addresses of a host refused: unavailable', () => {
    const both = Object.assign(new AggregateError([system('ECONNREFUSED'), system('ECONNREFUSED')]), {
      code: undefined,
    });
    expect(translateError(both, writing)).toMatchObject({ code: 'VAULT_UNAVAILABLE' });
  });

  test('no credentials: refused, with a hint that says so', () => {
    const error = translateError(Object.assign(new Error('x'), { name: 'CredentialsProviderError' }), reading);
    expect(isMoraineError(error, 'VAULT_REFUSED') && error.hint).toContain('credentials');
  });

  test('our own errors and our own mistakes pass as they are', () => {
    for (const error of [new MoraineError('LEASE_LOST', 'x'), new TypeError('x')]) {
      expect(translateError(error, writing)).toBe(error);
    }
  });
});
