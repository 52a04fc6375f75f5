import { createHash, randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { type MemberContext, openMember, sealMember } from '../../src/archive/seal.ts';
import { MIB } from '../../src/archive/tree-hash.ts';
import { newKey } from './archive-samples.ts';

const CONTEXT: MemberContext = {
  installation: 'inst-1',
  owner: 'acme',
  customer: 'Åsa & søn 😀',
  archive: 'archive-1',
  member: 'segments/support.chats/00000000.bson.zst.esdk',
};

describe('sealing', () => {
  test.each([0, 1, 1_000, MIB, MIB + 1, 17 * MIB])('%i bytes that do not compress come back', async (bytes) => {
    const key = newKey();
    const plain = randomBytes(bytes);
    const sealed = await sealMember(plain, CONTEXT, key);
    expect(Buffer.compare(await openMember(sealed, CONTEXT, key), plain)).toBe(0);
  });

  test('the message says format 2 and the committing suite without signature', async () => {
    const sealed = Buffer.from(await sealMember(randomBytes(10), CONTEXT, newKey()));
    expect(sealed.subarray(0, 3).toString('hex')).toBe('020478');
  });

  test('the same bytes sealed twice share no bytes of their content, and nothing of it is readable', async () => {
    const key = newKey();
    const plain = Buffer.from('a secret '.repeat(3));
    const [one, two] = [await sealMember(plain, CONTEXT, key), await sealMember(plain, CONTEXT, key)];
    expect(Buffer.from(one).includes('secret')).toBe(false);
    expect(Buffer.compare(one.subarray(-32), two.subarray(-32))).not.toBe(0);
  });

  test.each(['installation', 'owner', 'customer', 'archive', 'member'] as const)(
    'sealed for another %s: refused, naming both',
    async (field) => {
      const key = newKey();
      const sealed = await sealMember(randomBytes(10), { ...CONTEXT, [field]: 'other' }, key);
      await expect(openMember(sealed, CONTEXT, key)).rejects.toMatchObject({
        code: 'ARCHIVE_CORRUPT',
        message: expect.stringContaining(`it was sealed for ${field} other, not ${CONTEXT[field]}`),
        ids: { member: CONTEXT.member },
      });
    },
  );

  test('another key, of the same or of another name: refused', async () => {
    const sealed = await sealMember(randomBytes(10), CONTEXT, newKey('attempt-1'));
    for (const keyName of ['attempt-1', 'attempt-2']) {
      await expect(openMember(sealed, CONTEXT, newKey(keyName))).rejects.toMatchObject({
        code: 'ARCHIVE_CORRUPT',
        message: expect.stringContaining(`not sealed with the key ${keyName}`),
      });
    }
  });

  test('a bit flipped anywhere, or the end cut off anywhere: refused', async () => {
    const key = newKey();
    const sealed = await sealMember(Buffer.from('some plain text'), CONTEXT, key);
    for (let at = 0; at < sealed.byteLength; at += 1) {
      const flipped = Uint8Array.from(sealed);
      flipped[at]! ^= 1;
      await expect(openMember(flipped, CONTEXT, key), `flipped at ${at}`).rejects.toMatchObject({
        code: 'ARCHIVE_CORRUPT',
      });
      await expect(openMember(sealed.subarray(0, at), CONTEXT, key), `cut at ${at}`).rejects.toMatchObject({
        code: 'ARCHIVE_CORRUPT',
      });
    }
  });

  test('a key that was forgotten seals nothing, and the key itself is left as it was', async () => {
    const key = newKey();
    const before = createHash('sha256').update(key.bytes()).digest('hex');
    await sealMember(randomBytes(10), CONTEXT, key);
    expect(createHash('sha256').update(key.bytes()).digest('hex')).toBe(before);
    const forgotten = {
      keyName: 'attempt-1',
      bytes: (): Uint8Array => {
        throw new Error('forgotten');
      },
    };
    await expect(sealMember(randomBytes(10), CONTEXT, forgotten)).rejects.toThrow('forgotten');
  });
});
