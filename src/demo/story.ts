/**
 * The demo: the whole life on the local stack, told as a story. Every command is the real one, run as a person would;
 * the demo itself only loads data, moves the vault's clock, and compares bytes.
 */
import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { deserialize } from 'bson';
import { z } from 'zod';
import { alone, endDashboard, ensureStack, registerDashboard } from '../../infra/local-stack/index.ts';
import { splitDocuments } from '../archive/documents.ts';
import type { Clock } from '../clock.ts';
import { MoraineError } from '../errors.ts';
import { openLocalDatabase } from '../source/local-database.ts';
import { startDashboard } from './dashboard.ts';
import { demoDatasets, loadDatasets } from './load-data.ts';
import { Narrator } from './narrator.ts';
import { SAMPLE_OWNERS } from './sample-data/owners.ts';
import { contactCentre, DEFAULT_COUNTS } from './sample-data/sample-data.ts';
import { advanceVaultClock, dropDemoVaults } from './vault-clock.ts';
import { DEMO_PREFIX, makeWorkspace, type Workspace } from './workspace.ts';

export interface DemoOptions {
  readonly clock: Clock;
  /** Folder for moraine.yaml, policies and identities; what is in it is replaced. */
  readonly directory: string;
}

/** The ticket that the story follows: a customer of the energy company. */
const FOLLOWED = { owner: 'lumen-energy', customer: 'lumen-home' } as const;
/** Past the archive periods of the contact centre (seven years at most), and before that of the flights. */
const YEARS_LATER = 8;
const FLIGHT_OWNER = 'faa';

const archiveList = z.array(
  z.object({ id: z.string(), policy: z.string(), customer: z.string(), state: z.string(), records: z.number() }),
);

/** One demo at a time: each removes what the one before it left on the stack. */
export async function tellStory(options: DemoOptions): Promise<void> {
  const onWait = () => console.error('   Another demo runs on this stack: waiting for its end');
  await alone('demo', onWait, () => tell(options));
}

async function tell({ clock, directory }: DemoOptions): Promise<void> {
  const startedMs = clock.monotonicMs();
  // One instant for all: the sample data, and so the ids in it, follow from it.
  const now = clock.now();
  const urls = await ensureStack({ progress: (line) => console.error(`   ${line}`) });
  const run = randomBytes(3).toString('hex');
  const owners = [...SAMPLE_OWNERS.map(({ owner }) => owner), FLIGHT_OWNER];
  const workspace = await makeWorkspace(clock, { directory, run, owners, urls });
  const narrator = new Narrator(workspace.config);
  const database = await openLocalDatabase(urls.mongodb);
  try {
    await endDashboard();
    await database.dropDatabases(DEMO_PREFIX);
    await dropDemoVaults(urls.glacier, 'demo-');

    narrator.chapter('A contact centre, and an airline authority');
    narrator.say(
      'Three owners keep chats, tickets and call records of nine customers here. A fourth owns every flight of early',
      '2001 that a public data set has, with the airports of departure as its customers.',
    );
    const loaded = await loadDatasets(database, workspace.prefix, demoDatasets(now));
    for (const { namespace, records } of loaded)
      narrator.good(`${records.toLocaleString('en')} records in ${namespace}`);

    narrator.chapter('Is everything in order?');
    narrator.say('Configuration, policies, indexes, administrators, servers, clocks:');
    await narrator.command(['check'], [0, 3]);

    narrator.chapter('What is due, and why is the rest not?');
    narrator.say('A plan changes nothing. It reads the policy files in', `  ${join(workspace.directory, 'policies')}`);
    await narrator.command(['plan']);

    narrator.chapter('Put the policies into force');
    narrator.say('Runs and the daemon use published versions only; each archive keeps the version it was made under.');
    await narrator.command(['policy', 'publish', '--yes']);

    const ticket = followedTicket(now);
    const namespace = `${workspace.prefix}support.tickets`;
    const original = await database.readRaw(namespace, { _id: ticket });
    if (original === null) throw new MoraineError('INTERNAL', 'The ticket that the demo follows is not in the source.');
    narrator.chapter('One ticket, before');
    narrator.say('We follow one ticket of a customer of the energy company. Where is it, and what will happen to it?');
    await narrator.command(['explain', namespace, String(ticket)]);

    narrator.chapter('Run: archive, verify, delete the originals');
    narrator.say(
      'Records stream from MongoDB through zstd and the AWS Encryption SDK into Glacier vaults, one for each owner and',
      'customer. Only what is stored and verified is deleted, and only if it is still the same, byte for byte.',
      'Three records in each contact-centre collection are misfits on purpose: they are put aside, and exit code 3 says so.',
    );
    await narrator.command(['run', '--flush'], [0, 3]);
    narrator.say(
      '',
      'Chats wait: their policy wants to see each archive in the inventory of the vault itself, which comes once a day.',
    );
    await waitADay(narrator, urls.glacier);
    await narrator.command(['reconcile']);
    await waitHours(narrator, urls.glacier);
    await narrator.command(['reconcile']);
    await narrator.command(['status'], [0, 3]);

    narrator.chapter('One ticket, after: only its administrator can bring it back');
    const archive = await followedArchive(narrator);
    const identity = workspace.identityOf(FOLLOWED.owner);
    await narrator.command(['retrieve', archive, '--identity', identity, '--tier', 'standard', '--yes']);
    await waitHours(narrator, urls.glacier);
    await narrator.command(['restore', archive, '--identity', identity, '--out', workspace.restored]);
    compareBytes(narrator, workspace, ticket, original);

    narrator.chapter('A backlog that should have gone long ago');
    narrator.say(
      'Some calls were past their archive period too when they were first seen. They go only because a person says so.',
    );
    await narrator.command(['run', 'calls', '--expired', '--yes'], [0, 3]);

    const later = new Date(clock.now());
    later.setUTCFullYear(later.getUTCFullYear() + YEARS_LATER);
    const asOf = later.toISOString().slice(0, 10);
    narrator.chapter(`${YEARS_LATER} years later: ${asOf}`);
    narrator.say('Everything but the flights is past its archive period. In a sandbox, --as-of moves what is due.');
    await narrator.command(['purge', '--yes', '--as-of', asOf]);
    narrator.say('', 'The vault accepted the deletes and the keys are destroyed. Proof comes from the next inventory:');
    await waitADay(narrator, urls.glacier);
    await narrator.command(['reconcile', '--as-of', asOf]);
    await waitHours(narrator, urls.glacier);
    await narrator.command(['reconcile', '--as-of', asOf]);

    narrator.chapter('What is left is the evidence');
    await narrator.command(['certificate', 'show', archive]);
    narrator.say('', 'That was one of them. All of them, and the chain of everything that was done:');
    await narrator.command(['certificate', 'verify']);
    await narrator.command(['audit', 'verify']);

    const dashboard = await startDashboard(workspace.config, join(workspace.directory, 'console.log'));
    registerDashboard(dashboard.url, dashboard.pid);
    narrator.chapter('Your turn');
    narrator.say(
      `That took ${Math.round((clock.monotonicMs() - startedMs) / 1000)} seconds. The dashboard stays until the stack stops:`,
    );
    narrator.say('', `   ${dashboard.url}`, '', 'Try next:', '');
    const config = `--config ${workspace.config}`;
    narrator.say(
      `  npx moraine archives --policy flights ${config}`,
      `  npx moraine explain ${workspace.prefix}aviation.flights 4711 ${config}`,
      `  npx moraine audit show --limit 20 ${config}`,
    );
  } finally {
    await database.close();
  }
}

/** The first due ticket of the customer that the story follows: its `_id`. */
function followedTicket(now: Date): unknown {
  const tickets = contactCentre({ seed: 2001, now, counts: DEFAULT_COUNTS }).find(({ policy }) => policy === 'tickets');
  if (tickets === undefined) throw new MoraineError('INTERNAL', 'The sample data has no tickets.');
  const documents = tickets.batches()[Symbol.iterator]();
  let batch: readonly Record<string, unknown>[] = [];
  let at = 0;
  for (const slot of tickets.slots()) {
    if (at === batch.length) {
      batch = documents.next().value ?? [];
      at = 0;
    }
    const document = batch[at];
    at += 1;
    if (slot.intent === 'due' && slot.owner === FOLLOWED.owner && slot.customer === FOLLOWED.customer)
      return document?.['_id'];
  }
  throw new MoraineError('INTERNAL', 'The sample data has no due ticket of the customer that the demo follows.');
}

async function followedArchive(narrator: Narrator): Promise<string> {
  const archives = archiveList.parse(
    await narrator.ask(['archives', '--policy', 'tickets', '--owner', FOLLOWED.owner]),
  );
  const archive = archives.find(({ customer }) => customer === FOLLOWED.customer);
  if (archive === undefined) throw new MoraineError('INTERNAL', 'The ticket that the demo follows is in no archive.');
  narrator.good(`${archive.records} tickets of ${FOLLOWED.customer} are in archive ${archive.id}`);
  return archive.id;
}

function compareBytes(narrator: Narrator, workspace: Workspace, ticket: unknown, original: Uint8Array): void {
  const folder = join(workspace.restored, `${workspace.prefix}support`);
  for (const file of readdirSync(folder)) {
    for (const document of splitDocuments(readFileSync(join(folder, file)))) {
      if (String(deserialize(document)['_id']) !== String(ticket)) continue;
      if (!Buffer.from(document).equals(original))
        throw new MoraineError('ARCHIVE_CORRUPT', 'The restored ticket differs from the original.');
      narrator.good(`The ticket came back: ${original.length} bytes, equal to the original byte for byte.`);
      return;
    }
  }
  throw new MoraineError('ARCHIVE_CORRUPT', 'The ticket that the demo follows is not among the restored records.');
}

async function waitADay(narrator: Narrator, endpoint: string): Promise<void> {
  await advanceVaultClock(endpoint, 'P1DT1H');
  narrator.say('… a day passes at the vault (its clock is moved) …');
}

async function waitHours(narrator: Narrator, endpoint: string): Promise<void> {
  await advanceVaultClock(endpoint, 'PT6H');
  narrator.say('… six hours pass at the vault …');
}
