/** What every place of audit heads keeps: what was written first under a number stays, whoever writes or deletes later. */
import { describe, expect, it } from 'vitest';
import type { HeadsPlace, PublishedHead } from '../../src/vault/heads-port.ts';

export interface HeadsWorld {
  readonly place: HeadsPlace;
  /** As somebody with every right but time: tries to remove what is under the number. Null: it went. */
  remove(number: number): Promise<unknown>;
  /** Writes something else above it, or marks it as deleted, as far as the place lets anybody. */
  cover(number: number, how: 'written' | 'marked'): Promise<void>;
}

const UNTIL = () => new Date(Date.now() + 86_400_000);
const text = (what: string) => Buffer.from(what, 'utf8');

export async function listed(place: HeadsPlace, from = 1): Promise<readonly (readonly [number, string, boolean])[]> {
  const found: PublishedHead[] = [];
  for await (const head of place.heads(from)) found.push(head);
  return found.map(({ number, bytes, isCovered }) => [number, Buffer.from(bytes).toString('utf8'), isCovered]);
}

export function headsContract(name: string, open: () => Promise<HeadsWorld>): void {
  describe(`place of audit heads: ${name}`, () => {
    it('what was published is read back, in the order of the numbers and from the number that is asked for', async () => {
      const { place } = await open();
      await place.assertWriteOnce();
      expect(await listed(place)).toEqual([]);
      for (const number of [2, 1, 10, 9])
        expect(await place.publish(number, text(`n${number}`), UNTIL())).toBe('published');
      expect((await listed(place)).map(([number, said]) => [number, said])).toEqual([
        [1, 'n1'],
        [2, 'n2'],
        [9, 'n9'],
        [10, 'n10'],
      ]);
      expect((await listed(place, 3)).map(([number]) => number)).toEqual([9, 10]);
      expect(await listed(place, 11)).toEqual([]);
    });

    it('a number is given once: of five at the same time one is in, and it stays', async () => {
      const { place } = await open();
      const tried = [0, 1, 2, 3, 4];
      const outcomes = await Promise.all(tried.map((n) => place.publish(1, text(`n${n}`), UNTIL())));
      expect(outcomes.filter((outcome) => outcome === 'published')).toHaveLength(1);
      expect(await listed(place)).toEqual([[1, `n${outcomes.indexOf('published')}`, false]]);
      expect(await place.publish(1, text('late'), UNTIL())).toBe('taken');
    });

    it('nobody removes it before its time', async () => {
      const { place, remove } = await open();
      await place.publish(1, text('first'), UNTIL());
      expect(await remove(1)).not.toBeNull();
      expect(await listed(place)).toEqual([[1, 'first', false]]);
    });

    it.each(['written', 'marked'] as const)('what is %s above it does not hide it, and is told', async (how) => {
      const { place, cover } = await open();
      for (const number of [1, 2]) await place.publish(number, text(`n${number}`), UNTIL());
      await cover(1, how);
      expect(await listed(place)).toEqual([
        [1, 'n1', true],
        [2, 'n2', false],
      ]);
    });
  });
}
