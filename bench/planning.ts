/** Planning 1,000 customers over a million records: with one period, with 100 exceptions of customers and of values, and by a tier that a look-up finds. */

import { id } from '../src/ids.ts';
import { exceptions } from '../src/ledger/exceptions.ts';
import { planPolicy } from '../src/lifecycle/plan.ts';
import { type ExceptionValues, exceptionCode, witnessOf } from '../src/policy/exception.ts';
import { loadPolicy } from '../src/policy/load.ts';
import { seconds } from './figures.ts';
import type { Setting } from './setting.ts';

const CUSTOMERS = 1_000;
const RECORDS_EACH = 1_000;
const EXCEPTIONS = 100;
const INSERT_BATCH = 20_000;
const DAY_MS = 86_400_000;

export async function measurePlanning(setting: Setting): Promise<readonly string[]> {
  await insertCustomers(setting);
  const plain = await measure(setting, 'plain', 'active: 2 years');
  await grantExceptions(setting, 'excepted');
  const excepted = await measure(setting, 'excepted', 'active: 2 years');
  await grantExceptions(setting, 'valued', await valuesOf(setting));
  const valued = await measure(setting, 'valued', 'active: 2 years');
  const tiers = `lookUps: { account: { collection: ${setting.database}.accounts, from: account } }
active: { by: { lookUp: account, field: plan }, of: { enterprise: 5 years }, otherwise: 2 years }`;
  const looked = await measure(setting, 'looked', tiers);
  const line = (what: string, { took, due }: Measured) =>
    `  ${what.padEnd(38)} ${took.toFixed(1)} s   ratio ${(took / plain.took).toFixed(2)}, ${due} due`;
  return [
    `planning, ${CUSTOMERS} customers of ${RECORDS_EACH} records, once each`,
    line('one period for all', plain),
    line(`with ${EXCEPTIONS} exceptions, one customer each`, excepted),
    line(`with ${EXCEPTIONS} exceptions, one value each`, valued),
    line('by a tier that a look-up finds', looked),
  ];
}

interface Measured {
  readonly took: number;
  readonly due: number;
}

async function measure(setting: Setting, name: string, schedule: string): Promise<Measured> {
  const { app } = setting;
  const { loaded, problems } = loadPolicy(
    name,
    `policy: ${name}
zone: UTC
dataset: { collection: ${setting.database}.planned, owner: { value: bench }, customer: { field: tenant } }
trigger: { field: createdAt }
${schedule}
then: archive
archive: { for: 50 years, vault: cold }
limits: { records: 10000000, share: 1.0 }
`,
  );
  // Planning takes a policy as it is: three of one collection could not be in force at once.
  if (loaded === null) throw new Error(JSON.stringify(problems));
  const { policy } = loaded;
  let due = 0;
  const took = await seconds(async () => {
    due = (await planPolicy(app.context(), policy, { flush: true })).totals.due;
  });
  return { took, due };
}

function customerName(n: number): string {
  return `customer-${String(n).padStart(4, '0')}`;
}

async function insertCustomers({ client, database }: Setting): Promise<void> {
  const records = client.db(database).collection('planned');
  const now = Date.now();
  for (let start = 0; start < CUSTOMERS * RECORDS_EACH; start += INSERT_BATCH) {
    const batch = Array.from({ length: INSERT_BATCH }, (_, n) => {
      const at = start + n;
      const tenant = customerName(at % CUSTOMERS);
      // Spread over four years: half of them are due.
      return { tenant, account: tenant, createdAt: new Date(now - (at % (4 * 365)) * DAY_MS), text: 'x'.repeat(80) };
    });
    await records.insertMany(batch, { ordered: false });
  }
  await records.createIndex({ tenant: 1, createdAt: 1, _id: 1 });
  const accounts = client.db(database).collection<{ _id: string; plan: string }>('accounts');
  await accounts.insertMany(
    Array.from({ length: CUSTOMERS }, (_, n) => ({
      _id: customerName(n),
      plan: n % 10 === 0 ? 'enterprise' : 'free',
    })),
  );
}

/** Each about one account: the records of all customers are looked at for all of them. */
async function valuesOf({ app }: Setting) {
  const hmac = await app.context().keys.hmacFor(id.owner('bench'));
  return (n: number): ExceptionValues => ({
    field: 'account',
    codes: [exceptionCode(hmac, 'account', customerName(n * 7))],
    witness: witnessOf(hmac),
  });
}

async function grantExceptions(
  { app }: Setting,
  policy: string,
  namedBy: ((n: number) => ExceptionValues) | null = null,
): Promise<void> {
  const now = app.context().clock.now();
  for (let n = 0; n < EXCEPTIONS; n++) {
    await exceptions(app.store).insert({
      _id: `${policy}-${n}`,
      v: 1,
      policy,
      effect: n % 2 === 0 ? 'longer' : 'shorter',
      active: n % 2 === 0 ? 'P3Y' : 'P1Y',
      owner: namedBy === null ? null : id.owner('bench'),
      customer: namedBy === null ? id.customer(customerName(n * 7)) : null,
      value: namedBy?.(n) ?? null,
      reason: 'measured',
      requestedBy: 'bench',
      from: null,
      until: null,
      state: 'granted',
      requestedAt: new Date(now.getTime() - 30 * DAY_MS),
      graceMs: 7 * DAY_MS,
      approval: `${policy}-${n}`,
      grantedBy: ['another'],
      grantedAt: new Date(now.getTime() - 20 * DAY_MS),
      endedAt: null,
      endedBy: null,
      endReason: null,
    });
  }
}
