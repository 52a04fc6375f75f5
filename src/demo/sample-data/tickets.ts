import type { Faker } from '@faker-js/faker';
import { Decimal128 } from 'bson';
import { makeDialogue } from './dialogue.ts';
import type { SampleSlot } from './intents.ts';
import { makePerson } from './person.ts';

const HOUR_MS = 3_600_000;
const LONGEST_OPEN_HOURS = 21 * 24;
const FIRST_NUMBER = 100_001;

/** A closed ticket, as `policies/tickets.yaml` expects it: owner, tenant, closedAt, updatedAt, number, requester.email. */
export function makeTicket(faker: Faker, slot: SampleSlot, id: unknown): Record<string, unknown> {
  const requester = makePerson(faker);
  const agent = makePerson(faker);
  const dialogue = makeDialogue(faker, { agent: agent.firstName, customer: requester.firstName });
  const closedAtMs = slot.at.getTime();
  const openMs = faker.number.int({ min: 1, max: LONGEST_OPEN_HOURS }) * HOUR_MS;
  const createdAtMs = closedAtMs - openMs;
  const comments = dialogue.lines.map(({ from, text }, index) => ({
    at: new Date(createdAtMs + Math.floor((openMs * index) / dialogue.lines.length)),
    author: from === 'agent' ? agent.name : requester.name,
    public: true,
    text,
  }));
  return {
    _id: id,
    number: `T-${FIRST_NUMBER + slot.index}`,
    owner: slot.owner,
    ...(slot.intent === 'no-customer' ? {} : { tenant: slot.customer }),
    subject: dialogue.subject,
    status: 'closed',
    priority: faker.helpers.arrayElement(['low', 'normal', 'normal', 'high']),
    requester: { name: requester.name, email: requester.email },
    assignee: agent.name,
    tags: [dialogue.topic, ...faker.helpers.arrayElements(['vip', 'repeat', 'legal', 'partner'], { min: 0, max: 2 })],
    comments,
    outcome: dialogue.outcome,
    refunded: dialogue.outcome === 'refunded' ? Decimal128.fromString(faker.commerce.price({ max: 250 })) : null,
    createdAt: new Date(createdAtMs),
    closedAt: slot.intent === 'text-trigger' ? slot.at.toISOString() : slot.at,
    updatedAt: new Date(closedAtMs + faker.number.int({ min: 0, max: 12 }) * HOUR_MS),
  };
}
