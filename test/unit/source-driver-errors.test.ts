import {
  MongoBulkWriteError,
  MongoClientClosedError,
  MongoInvalidArgumentError,
  MongoNetworkError,
  MongoParseError,
  MongoRuntimeError,
  MongoServerError,
  MongoWriteConcernError,
} from 'mongodb';
import { expect, it } from 'vitest';
import { MoraineError } from '../../src/errors.ts';
import { translateMongoError } from '../../src/source/driver-errors.ts';

const CONTENT = 'record content';
const refused = (code: number) => new MongoServerError({ message: CONTENT, code });

it.each([
  [new MongoNetworkError(CONTENT), 'MONGODB_UNAVAILABLE'],
  [new MongoClientClosedError(), 'MONGODB_UNAVAILABLE'],
  [new MongoRuntimeError(CONTENT), 'MONGODB_UNAVAILABLE'],
  [refused(133), 'MONGODB_UNAVAILABLE'],
  [refused(10058), 'MONGODB_UNAVAILABLE'],
  [new MongoWriteConcernError({ writeConcernError: { code: 8, errmsg: CONTENT }, ok: 1 }), 'MONGODB_UNAVAILABLE'],
  // A write conflict, and a serialization failure and a deadlock of PostgreSQL: taken back, to be made again.
  [refused(112), 'MONGODB_UNAVAILABLE'],
  [refused(16_777_220), 'MONGODB_UNAVAILABLE'],
  [refused(16_908_292), 'MONGODB_UNAVAILABLE'],
  [refused(13), 'MONGODB_REFUSED'],
  [refused(11000), 'MONGODB_REFUSED'],
  [new MongoParseError(CONTENT), 'CONFIG_INVALID'],
  [new MongoInvalidArgumentError(CONTENT), 'INTERNAL'],
])('%s is %s, with what may have changed and without the text of the driver', (error, code) => {
  const translated = translateMongoError(error, 'read', { changed: 'Perhaps.' });
  expect(translated).toBeInstanceOf(MoraineError);
  expect(translated).toMatchObject({ code, changed: 'Perhaps.', cause: error });
  expect(String(translated)).not.toContain(CONTENT);
});

it('a bulk write that a lost connection ended in the middle: unavailable, not refused', () => {
  const cut = new MongoNetworkError('cut');
  // The driver makes it so; only what was lost is looked at.
  const bulk = new MongoBulkWriteError({ message: 'bulk', code: 11000, writeErrors: [] }, {} as never);
  const translated = translateMongoError(Object.assign(bulk, { errorResponse: cut }), 'insert');
  expect(translated).toMatchObject({ code: 'MONGODB_UNAVAILABLE', cause: cut });
});

it('what is ours already, or not of the driver, comes back as it is', () => {
  for (const error of [new MoraineError('LEASE_LOST', 'gone'), new TypeError('ours')]) {
    expect(translateMongoError(error, 'read')).toBe(error);
  }
});
