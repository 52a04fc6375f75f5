/** What every way of telling owners does, whatever is behind it. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isMoraineError } from '../../src/errors.ts';
import { id } from '../../src/ids.ts';
import type { NotifyWay } from '../../src/notify/port.ts';
import { inForceTelling, OWNER, purgeTelling } from './tellings.ts';

export interface Received {
  readonly subject: string;
  /** Everything that a person or program reads, decoded. */
  readonly body: string;
  /** The id of the notification as the receiver finds it. */
  readonly notification: string | null;
  readonly to: string;
}

export interface WayWorld {
  /** Reaches OWNER and no other. */
  readonly way: NotifyWay;
  /** What arrived since the last call, oldest first. */
  received(): Promise<readonly Received[]>;
  /** The next `send` meets a service that is away, or one that refuses for good. */
  breakIt(how: 'away' | 'refused'): Promise<void>;
  mend(): Promise<void>;
  close(): Promise<void>;
}

export function notifyContract(name: string, open: () => Promise<WayWorld>): void {
  describe(`telling owners: ${name}`, () => {
    let world: WayWorld;
    beforeAll(async () => {
      world = await open();
    }, 30_000);
    afterAll(() => world.close());

    test('what is sent arrives once, whole, under its id, and says what is in force', async () => {
      const telling = inForceTelling('n1');
      const { messageId } = await world.way.send(telling);
      expect(messageId.length).toBeGreaterThan(0);
      const [received, ...more] = await world.received();
      expect(more).toEqual([]);
      expect(received?.subject).toContain('Retention for acme');
      expect(received?.notification).toBe('n1');
      expect(received?.to).toBe(world.way.addressOf(OWNER));
      for (const text of ['support.chats', '2 years', '7 years', 'Europe/Amsterdam'])
        expect(received?.body).toContain(text);
    });

    test('a purge is foretold with its numbers and days', async () => {
      await world.way.send(purgeTelling('n2'));
      const [received] = await world.received();
      expect(received?.subject).toContain('1,234,567');
      for (const text of ['2026-12-01', '2026-12-31', 'legal hold']) expect(received?.body).toContain(text);
    });

    test('names with line breaks, markup and other scripts are shown and do nothing', async () => {
      const nasty = 'a\r\nBcc: eve@example.com\n# <script>alert(1)</script> | €漢 \u202e';
      await world.way.send(inForceTelling('n3', nasty));
      const [received, ...more] = await world.received();
      expect(more).toEqual([]);
      expect(received?.body).toContain('€漢');
      expect(received?.body).not.toMatch(/^(Bcc|# <script)/im);
      expect(received?.body).not.toContain('\u202e');
    });

    test('one that is sent again carries the same id', async () => {
      await world.way.send(inForceTelling('n4'));
      await world.way.send(inForceTelling('n4'));
      expect((await world.received()).map(({ notification }) => notification)).toEqual(['n4', 'n4']);
    });

    test('an owner that it does not reach has no address, and gets nothing', async () => {
      const stranger = id.owner('stranger');
      expect(world.way.addressOf(stranger)).toBe(null);
    });

    test('a service that is away can be tried again; one that refuses cannot; nothing arrives by either', async () => {
      await world.breakIt('away');
      const away = await world.way.send(inForceTelling('n5')).catch((error: unknown) => error);
      await world.mend();
      await world.breakIt('refused');
      const refused = await world.way.send(inForceTelling('n6')).catch((error: unknown) => error);
      await world.mend();
      expect(isMoraineError(away, 'NOTICE_UNAVAILABLE'), String(away)).toBe(true);
      expect(isMoraineError(refused, 'NOTICE_REFUSED'), String(refused)).toBe(true);
      expect(await world.received()).toEqual([]);
      await world.way.send(inForceTelling('n7'));
      expect(await world.received()).toHaveLength(1);
    }, 60_000);
  });
}
