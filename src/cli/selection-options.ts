/** What `find` and `retrieve` are about: archives by id, one record, or what fits the options. */
import { readFileSync } from 'node:fs';
import { type Command, InvalidArgumentError } from 'commander';
import { MoraineError } from '../errors.ts';
import { type ArchiveId, id, type Namespace } from '../ids.ts';
import { getArchive } from '../ledger/archives.ts';
import type { Context } from '../lifecycle/context.ts';
import { EVERYTHING, type Selection } from '../lifecycle/find.ts';
import { policiesToRun } from '../lifecycle/published.ts';
import type { ChildShape } from '../source/port.ts';
import { normalFacet } from '../source/raw-document.ts';
import { childRuleOf } from './explain-child.ts';
import { parseInstant } from './parse-instant.ts';
import { idBytesOfText } from './record-id.ts';
import { collectValues } from './value-options.ts';

export interface SelectionOptions {
  readonly owner?: string;
  readonly customer?: string;
  readonly dataset?: string;
  readonly facet: readonly string[];
  readonly from?: Date;
  readonly to?: Date;
  readonly file?: string;
}

export function withSelection(command: Command): Command {
  return command
    .option('--owner <owner>', 'archives of one owner')
    .option('--customer <customer>', 'of one customer')
    .option('--dataset <namespace>', 'of one dataset, as database.collection')
    .option('--facet <name=value>', 'with this value of a facet; repeated: one of them', collectValues, [])
    .option('--from <date>', 'records whose trigger is at or after it', parseInstant)
    .option('--to <date>', 'records whose trigger is before it', parseInstant);
}

/** Throws USAGE, and ARCHIVE_UNKNOWN for an id that the ledger does not have. */
export async function selectionOf(
  context: Context,
  args: readonly string[],
  options: SelectionOptions,
): Promise<Selection> {
  const { owner, customer, dataset, from, to } = options;
  if (from !== undefined && to !== undefined && from >= to)
    throw usage('No trigger is at or after --from and before --to.');
  const named = [...(isRecord(args) ? [] : args), ...(options.file === undefined ? [] : idsIn(options.file))];
  const selection: Selection = {
    ...EVERYTHING,
    archives: named.length === 0 ? null : await knownArchives(context, named),
    owner: owner === undefined ? null : id.owner(owner),
    customer: customer === undefined ? null : id.customer(customer),
    namespace: dataset === undefined ? null : id.namespace(dataset),
    from: from ?? null,
    to: to ?? null,
    facet: facetOf(context, options.facet),
  };
  if (!isRecord(args)) return selection;
  if (dataset !== undefined) throw usage('A record has its collection before its id; leave --dataset away.');
  const [namespace = '', text = ''] = args;
  return { ...selection, ...(await recordOf(context, id.namespace(namespace), text)) };
}

/** `<namespace> <id>`: no id of an archive has a dot. */
export function isRecord(args: readonly string[]): boolean {
  if (!args.some((arg, at) => at === 0 && /^[^.]+\../.test(arg))) return false;
  if (args.length === 2) return true;
  throw usage('A record is its collection and its id: support.chats 65f0c1d2e3f405162738495a.');
}

/** Is anything named at all? */
export function isNarrowed(selection: Selection): boolean {
  return Object.values(selection).some((part) => part !== null);
}

async function recordOf(
  context: Context,
  namespace: Namespace,
  text: string,
): Promise<Pick<Selection, 'namespace' | 'record'>> {
  const candidates = idBytesOfText(text);
  for (const policy of await policiesToRun(context.store, null, context.asOf)) {
    const rule: ChildShape | null = childRuleOf(policy, namespace);
    if (rule !== null) return { namespace: policy.dataset.collection, record: { candidates, rule } };
  }
  return { namespace, record: { candidates, rule: null } };
}

async function knownArchives(context: Context, texts: readonly string[]): Promise<readonly ArchiveId[]> {
  const known: ArchiveId[] = [];
  for (const text of new Set(texts)) known.push((await getArchive(context.store, id.archive(text)))._id);
  return known;
}

/** One id a line; blank lines and what follows a # are left out. */
function idsIn(file: string): readonly string[] {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (cause) {
    throw new MoraineError('USAGE', `The file ${file} cannot be read.`, { cause });
  }
  const ids = text
    .split(/\r?\n/)
    .map((line) => (line.split('#')[0] ?? '').trim())
    .filter((line) => line !== '');
  if (ids.length === 0) throw usage(`The file ${file} names no archive.`);
  return ids;
}

function facetOf(context: Context, texts: readonly string[]): Selection['facet'] {
  const names = new Set<string>();
  const values: string[] = [];
  for (const text of texts) {
    const at = text.indexOf('=');
    const value = normalFacet(text.slice(at + 1));
    if (at < 1 || value === '') throw usage('--facet takes name=value.');
    names.add(text.slice(0, at));
    // A number or an id in the source is compared by type and value.
    values.push(value, ...idBytesOfText(text.slice(at + 1).trim()).map((bytes) => context.source.keyOf(bytes)));
  }
  const [name, ...others] = names;
  if (others.length > 0) throw usage('One facet is looked for at a time; several values of it may be given.');
  return name === undefined ? null : { name, values };
}

const HOURS_IN: Readonly<Record<string, number>> = { m: 1 / 60, h: 1, d: 24 };

/** `90m`, `6h`, `2d`: in hours. */
export function parseHours(text: string): number {
  const [, amount = '', unit = ''] = /^(\d+(?:\.\d+)?)\s*([mhd])$/.exec(text.trim()) ?? [];
  const hours = Number(amount) * (HOURS_IN[unit] ?? Number.NaN);
  if (hours > 0) return hours;
  throw new InvalidArgumentError('Expected a time such as 90m, 6h or 2d.');
}

export function parseDollars(text: string): number {
  const dollars = /^\$?\d+(\.\d+)?$/.test(text.trim()) ? Number(text.trim().replace('$', '')) : Number.NaN;
  if (dollars >= 0) return dollars;
  throw new InvalidArgumentError('Expected an amount in US dollars such as 5.00.');
}

export function parseCount(text: string): number {
  const count = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (count >= 1) return count;
  throw new InvalidArgumentError('Expected a whole number from 1 on.');
}

function usage(text: string): MoraineError {
  return new MoraineError('USAGE', text);
}
