import type { Faker } from '@faker-js/faker';
import { makeDialogue } from './dialogue.ts';
import type { SampleSlot } from './intents.ts';
import { makePerson } from './person.ts';

/** A call record, as `policies/calls.yaml` expects it: owner, tenant, and an ObjectId that holds when it was made. */
export function makeCall(faker: Faker, slot: SampleSlot, id: unknown): Record<string, unknown> {
  const caller = makePerson(faker);
  const agent = makePerson(faker);
  const dialogue = makeDialogue(faker, { agent: agent.firstName, customer: caller.firstName });
  const ringSeconds = faker.number.int({ min: 2, max: 75 });
  const talkSeconds = faker.number.int({ min: 35, max: 1500 });
  return {
    _id: slot.intent === 'text-trigger' ? `imported-${slot.at.toISOString()}-${slot.index}` : id,
    owner: slot.owner,
    ...(slot.intent === 'no-customer' ? {} : { tenant: slot.customer }),
    direction: faker.helpers.arrayElement(['in', 'in', 'in', 'out']),
    line: faker.string.numeric({ length: 4, allowLeadingZeros: false }),
    caller: { name: caller.name, phone: caller.phone },
    agent: { name: agent.name, extension: faker.string.numeric({ length: 3, allowLeadingZeros: false }) },
    seconds: { ring: ringSeconds, hold: faker.number.int({ min: 0, max: 300 }), talk: talkSeconds },
    quality: {
      mos: faker.number.float({ min: 2.5, max: 4.5, fractionDigits: 2 }),
      dropped: faker.datatype.boolean(0.03),
    },
    topic: dialogue.topic,
    outcome: dialogue.outcome,
    notes: dialogue.lines
      .filter(({ from }) => from === 'customer')
      .map(({ text }) => `Caller: ${text}`)
      .join('\n'),
  };
}
