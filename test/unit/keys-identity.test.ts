import { inspect } from 'node:util';
import { armor } from 'age-encryption';
import { describe, expect, it } from 'vitest';
import { isPassphraseProtected, newIdentity, openIdentity } from '../../src/keys/administrator.ts';

const now = new Date('2026-01-02T03:04:05Z');
const bytes = (text: string) => new TextEncoder().encode(text);
/** The least work that scrypt accepts here, so that tests are quick. */
const quick = { now, scryptLogN: 4 };

describe('identity files', () => {
  it('without a passphrase: the file of age-keygen, opens to the same recipient', async () => {
    const { file, recipient } = await newIdentity({ now });
    expect(file).toMatch(/^# created: 2026-01-02T03:04:05\.000Z\n# public key: age1\w+\nAGE-SECRET-KEY-1\w+\n$/);
    expect(isPassphraseProtected(bytes(file))).toBe(false);
    expect((await openIdentity(bytes(file))).recipient).toBe(recipient);
    expect((await openIdentity(bytes(file.replaceAll('\n', '\r\n')))).recipient).toBe(recipient);
  });

  it('with a passphrase: armored, shows no secret, opens armored and binary', async () => {
    const { file, recipient } = await newIdentity({ ...quick, passphrase: 'correct horse', postQuantum: true });
    expect(file).toMatch(/^-----BEGIN AGE ENCRYPTED FILE-----/);
    expect(file).not.toMatch(/AGE-SECRET/);
    expect(isPassphraseProtected(bytes(file))).toBe(true);
    expect((await openIdentity(bytes(file), 'correct horse')).recipient).toBe(recipient);
    expect((await openIdentity(armor.decode(file), 'correct horse')).recipient).toBe(recipient);
  });

  it('wrong or no passphrase: IDENTITY_WRONG that says which', async () => {
    const { file } = await newIdentity({ ...quick, passphrase: 'correct horse' });
    await expect(openIdentity(bytes(file), 'wrong')).rejects.toMatchObject({
      code: 'IDENTITY_WRONG',
      message: expect.stringMatching(/passphrase does not open/),
    });
    await expect(openIdentity(bytes(file))).rejects.toMatchObject({
      code: 'IDENTITY_WRONG',
      message: expect.stringMatching(/needs its passphrase/),
    });
  });

  it('an empty passphrase is refused, not taken as none', async () => {
    await expect(newIdentity({ ...quick, passphrase: '' })).rejects.toMatchObject({ code: 'USAGE' });
  });

  it('a damaged, empty or double file: IDENTITY_WRONG that quotes no secret', async () => {
    const { file } = await newIdentity({ now });
    const secret = file.split('\n')[2] ?? '';
    const wrong = secret.slice(0, -1) + (secret.endsWith('Q') ? 'P' : 'Q');
    const sealed = armor.decode((await newIdentity({ ...quick, passphrase: 'p' })).file);
    for (const damaged of [bytes(wrong), bytes(''), bytes(file + file), sealed.subarray(0, 150)]) {
      const error: unknown = await openIdentity(damaged, 'p').catch((reason: unknown) => reason);
      expect(error).toMatchObject({ code: 'IDENTITY_WRONG' });
      expect(inspect(error, { depth: 9 })).not.toContain(wrong.slice(0, 30));
    }
  });

  it('an opened identity shows its secret in no print and no JSON', async () => {
    const { file } = await newIdentity({ now });
    const identity = await openIdentity(bytes(file));
    expect(inspect(identity, { showHidden: true, depth: 9 }) + JSON.stringify(identity)).not.toMatch(/AGE-SECRET/);
  });
});
