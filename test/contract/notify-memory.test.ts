import { MemoryWay } from '../../src/notify/memory-way.ts';
import { notifyContract } from './notify-contract.ts';
import { OWNER } from './tellings.ts';

notifyContract('in memory', async () => {
  const way = new MemoryWay('fake', (owner) => (owner === OWNER ? 'owner@example.com' : null));
  return {
    way,
    received: async () =>
      way.taken.splice(0).map(({ telling, to, message }) => ({
        subject: message.subject,
        body: message.text,
        notification: telling.id,
        to,
      })),
    breakIt: async (how) => {
      way.faults.push(how === 'away' ? 'before' : 'refused');
    },
    mend: async () => undefined,
    close: () => way.close(),
  };
});
