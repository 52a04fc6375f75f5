import type { Faker } from '@faker-js/faker';

export interface Person {
  readonly firstName: string;
  readonly name: string;
  /** At example.org, which belongs to nobody. */
  readonly email: string;
  readonly phone: string;
}

export function makePerson(faker: Faker): Person {
  const [firstName, lastName] = [faker.person.firstName(), faker.person.lastName()];
  const email = faker.internet.email({ firstName, lastName, provider: 'example.org' }).toLowerCase();
  return { firstName, name: `${firstName} ${lastName}`, email, phone: faker.phone.number({ style: 'international' }) };
}
