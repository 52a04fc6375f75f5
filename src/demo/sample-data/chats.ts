import type { Faker } from '@faker-js/faker';
import { makeDialogue } from './dialogue.ts';
import type { SampleSlot } from './intents.ts';
import { makePerson } from './person.ts';

const LONGEST_REPLY_SECONDS = 90;

/** A web chat, as `policies/chats.yaml` expects it: owner, tenant, createdAt, contact.email. */
export function makeChat(faker: Faker, slot: SampleSlot, id: unknown): Record<string, unknown> {
  const contact = makePerson(faker);
  const agent = makePerson(faker);
  const dialogue = makeDialogue(faker, { agent: agent.firstName, customer: contact.firstName });
  let at = slot.at.getTime();
  const messages = dialogue.lines.map(({ from, text }, index) => {
    if (index > 0) at += faker.number.int({ min: 5, max: LONGEST_REPLY_SECONDS }) * 1000;
    return { at: new Date(at), from, text };
  });
  return {
    _id: id,
    owner: slot.owner,
    ...(slot.intent === 'no-customer' ? {} : { tenant: slot.customer }),
    createdAt: slot.intent === 'text-trigger' ? slot.at.toISOString() : slot.at,
    endedAt: new Date(at),
    channel: faker.helpers.arrayElement(['web', 'app', 'messenger']),
    contact: { name: contact.name, email: contact.email },
    agent: { name: agent.name, team: faker.helpers.arrayElement(['first line', 'billing', 'logistics']) },
    topic: dialogue.topic,
    outcome: dialogue.outcome,
    messages,
    rating: faker.helpers.arrayElement([null, 1, 2, 3, 4, 4, 5, 5, 5]),
    language: 'en',
  };
}
