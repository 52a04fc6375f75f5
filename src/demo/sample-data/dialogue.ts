/** What people write to a contact centre and what they are answered. `{order}` and the like are filled in. */
import type { Faker } from '@faker-js/faker';

export interface Line {
  readonly from: 'customer' | 'agent';
  readonly text: string;
}

export interface Dialogue {
  readonly topic: string;
  readonly subject: string;
  readonly lines: readonly Line[];
  readonly outcome: string;
}

interface Topic {
  readonly topic: string;
  readonly subject: string;
  readonly opening: readonly string[];
  /** What the agent says, and what comes back. */
  readonly exchanges: readonly (readonly [agent: string, customer: string])[];
  readonly closing: readonly string[];
  readonly outcomes: readonly string[];
}

const TOPICS: readonly Topic[] = [
  {
    topic: 'delivery',
    subject: 'Order {order} has not arrived',
    opening: [
      'Hello, I ordered {product} on {day} and the tracking page has said "on its way" for a week. The order number is {order}. Can you see where it is?',
      'Good morning. My parcel {order} was supposed to be here on {day}. Nobody rang, nobody left a card, and I stayed in all day for it.',
    ],
    exchanges: [
      [
        'I am sorry about that. I have {order} in front of me: it left our warehouse on time and was last scanned at the depot in {city}. May I check the address it should go to?',
        'It is {street}, the side entrance. The courier has managed before, so I do not think that it is the address.',
      ],
      [
        'Thank you. The depot tells me that the label was damaged, so the parcel was set aside for someone to look at. I have asked them to print a new one today.',
        'All right. Will I get a message when it is on the van? I cannot take another day off for this.',
      ],
      [
        'Yes, you will get a text with a window of two hours. If you are out they can leave it with a neighbour: shall I note one?',
        'The people at number 12 are home most days. Please put that down.',
      ],
      [
        'Noted. As it is late through our fault I have taken the delivery charge of {amount} off. You will see it within five working days.',
        'That is kind, thank you.',
      ],
    ],
    closing: [
      'It should reach you by {day}. Come back to this chat if it does not, and whoever is here will see what we said.',
    ],
    outcomes: ['delivered late', 'sent again', 'refunded'],
  },
  {
    topic: 'invoice',
    subject: 'Charged twice on the invoice of {day}',
    opening: [
      'I have just looked at my statement and you took {amount} twice on {day}. One of these is a mistake, please give it back.',
      'Your invoice has a line "service visit, {amount}" that I know nothing about. Nobody has visited us.',
    ],
    exchanges: [
      [
        'Let me look into that with you. Could you tell me the last four characters of the customer number, top right on the invoice?',
        'It ends in {code}. There is also a reference {order} if that helps.',
      ],
      [
        'That helps, thank you. I see one payment and one reservation: your bank shows both until the reservation lapses, which takes up to three days. Do both say "booked"?',
        'They do, both of them, with different dates. I can send you a picture of the statement.',
      ],
      [
        'No need, I found it: the first attempt timed out on our side and was counted all the same. I have cancelled it and raised a refund of {amount}.',
        'Good. Do I need to do anything else, or does it come back by itself?',
      ],
    ],
    closing: [
      'It comes back by itself to the same account, usually by {day}. A corrected invoice is on its way by e-mail.',
    ],
    outcomes: ['refunded', 'invoice corrected', 'explained'],
  },
  {
    topic: 'repair',
    subject: '{product} stopped working',
    opening: [
      'The {product} that I bought from you stopped working after four months. It makes a clicking noise and then nothing. Is this still under warranty?',
      'I need someone to look at my {product}. The light blinks red three times, pauses, and begins again.',
    ],
    exchanges: [
      [
        'That should not happen so soon. Would you try one thing for me: unplug it, wait a full minute, and hold the power button while you plug it in again?',
        'I have done that. It hums for a second, blinks once in green, and then it is back to red.',
      ],
      [
        'Thank you for trying. Three red blinks mean that the board does not start, which cannot be mended at home. Do you still have the receipt, or the order number?',
        'The order was {order}. The receipt may be in a box in the attic.',
      ],
      [
        'The number is enough. You are within two years, so the repair costs nothing. I can book a collection from {street}: would {day} suit you?',
        'In the afternoon, yes. Should I pack it in its own carton? I only have half of that left.',
      ],
      [
        'The driver brings a crate, so please leave it as it is, without the cable. You can follow the repair with the code {code}.',
        'Perfect. How long does it usually take?',
      ],
    ],
    closing: ['Seven to ten days. Should the part be out of stock we replace the whole thing instead.'],
    outcomes: ['collected for repair', 'replaced', 'mended by telephone'],
  },
  {
    topic: 'appointment',
    subject: 'Moving the appointment of {day}',
    opening: [
      'Hi, I have an appointment on {day} and cannot make it. Is there anything later that week, after four if possible?',
      'Your letter says that I am expected on {day}, but I never asked for that. I would rather come to {city}, it is closer to work.',
    ],
    exchanges: [
      [
        'Of course. So that I move the right one: is it the check-up, or the follow-up for which you had the reference {code}?',
        'The follow-up. It should take twenty minutes, I was told.',
      ],
      [
        'I see it. There is a place at a quarter past four two days later, and one at nine on {day}. Which would you like?',
        'A quarter past four, please. Is it with the same person as last time?',
      ],
      [
        'Yes, it is. I have moved it, and you will get a reminder the day before on the number ending in {digits}.',
        'That number is old, I changed it in spring. Could you send an e-mail instead?',
      ],
    ],
    closing: ['Done: reminders go to your e-mail address from now on, and the old number is removed.'],
    outcomes: ['moved', 'cancelled', 'kept as it was'],
  },
  {
    topic: 'account',
    subject: 'Cannot sign in any more',
    opening: [
      'I cannot get into my account. It says that my password is wrong, and when I ask for a new one no message comes.',
      'Since the new app I am asked for a code every single time, and it goes to a telephone that I no longer have.',
    ],
    exchanges: [
      [
        'I will help you back in. First I need to know that it is you: what did you order last, and roughly when?',
        '{product}, some time around {day}. It went to {city}.',
      ],
      [
        'That matches, thank you. Your messages did go out, but the mailbox refused them as full. Could you make some room and tell me when I should send it again?',
        'Oh. Yes, it was full of photographs. Go ahead, there is room now.',
      ],
      [
        'Sent. The link is good for half an hour. I have also ended all other sessions, in case somebody else was trying.',
        'It works, I am in. Is there a way to see who tried?',
      ],
    ],
    closing: ['Under Security you find every sign-in of the last ninety days. The one from {city} was you, just now.'],
    outcomes: ['access restored', 'identity not proved'],
  },
];

/** A whole conversation. What the faker gives decides everything, so a seeded one gives the same again. */
export function makeDialogue(faker: Faker, names: { readonly agent: string; readonly customer: string }): Dialogue {
  const topic = faker.helpers.arrayElement(TOPICS);
  const slots = makeSlots(faker);
  const say = (from: Line['from'], text: string): Line => ({ from, text: fill(text, slots) });
  const depth = faker.number.int({ min: 1, max: topic.exchanges.length });
  return {
    topic: topic.topic,
    subject: fill(topic.subject, slots),
    outcome: faker.helpers.arrayElement(topic.outcomes),
    lines: [
      say('customer', faker.helpers.arrayElement(topic.opening)),
      say('agent', `Hello ${names.customer}, you are speaking with ${names.agent}.`),
      ...topic.exchanges.slice(0, depth).flatMap(([agent, answer]) => [say('agent', agent), say('customer', answer)]),
      say('agent', faker.helpers.arrayElement(topic.closing)),
      say('customer', 'Thank you, goodbye.'),
    ],
  };
}

function makeSlots(faker: Faker): Readonly<Record<string, string>> {
  return {
    order: `${faker.string.alpha({ length: 2, casing: 'upper' })}-${faker.string.numeric(7)}`,
    code: faker.string.alphanumeric({ length: 4, casing: 'upper' }),
    digits: faker.string.numeric(3),
    product: faker.commerce.productName().toLowerCase(),
    day: faker.date.weekday(),
    city: faker.location.city(),
    street: faker.location.streetAddress(),
    amount: `EUR ${faker.commerce.price({ min: 4, max: 180 })}`,
  };
}

function fill(text: string, slots: Readonly<Record<string, string>>): string {
  return text.replaceAll(/\{(\w+)\}/g, (_, name: string) => slots[name] ?? name);
}
