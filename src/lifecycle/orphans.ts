/**
 * The look for children that were written after their root was deleted and its archive cleared: nothing else asks for them
 * any more, and they would stay for ever. Names alone are read, in the order of `_id`, and compared with the roots that are
 * there; what the ledger then knows of a root says what becomes of its children:
 *  - its copy is kept: they go into an addendum with the same due date, as those that came late within its clearing;
 *  - its copy is destroyed, or there never was one: they are past their date, and go when a person says so;
 *  - nothing is known of it: they are reported and stay, for whoever deleted the root may bring it back.
 *
 * The work is bounded. Each look goes on from the highest `_id` so far, which finds what is new where ids grow, and takes
 * another piece of a pass through all of them, which finds the rest: about five looks a pass, one pass a week; a small
 * collection is passed at each look. A mark is written only when what was found is planned, so a look that is cut is
 * made again.
 */
import { isMoraineError } from '../errors.ts';
import type { ArchiveId } from '../ids.ts';
import type { ArchiveDocument } from '../ledger/archive-document.ts';
import {
  addOrphans,
  findOrphanLook,
  NO_ORPHANS,
  type OrphanCounts,
  type OrphanLook,
  saveOrphanLook,
} from '../ledger/orphan-looks.ts';
import { type Policy, toShape } from '../policy/policy.ts';
import type { ChildName, ChildShape, DatasetShape } from '../source/port.ts';
import { assertNotStopped, type Context } from './context.ts';
import { type KnownRoot, knownRoots } from './known-roots.ts';
import { addOrphansOf } from './orphan-addenda.ts';

/** Names that are read at once, and roots that are asked for: what one read may name. */
const BATCH = 1_000;
/** At least this many names a look; a collection with fewer is passed each time. */
const LEAST_NAMES = 50_000;
/** Of the first pass, when it is not known how many there are. */
const FIRST_NAMES = 1_000_000;
/** A whole pass takes about this many looks. */
const LOOKS_A_PASS = 5;
const PASS_EVERY_MS = 7 * 24 * 3_600_000;
/** Roots whose children are to be added, held in memory; the next look goes on. */
const MOST_ROOTS = 50_000;

/** Looks once, in each collection of children of the policy; returns the addenda that it planned. */
export async function lookForOrphans(context: Context, policy: Policy): Promise<readonly ArchiveDocument[]> {
  const shape = toShape(policy);
  const planned: ArchiveDocument[] = [];
  for (const child of shape.children ?? []) planned.push(...(await lookIn(context, policy, shape, child)));
  return planned;
}

async function lookIn(
  context: Context,
  policy: Policy,
  shape: DatasetShape,
  child: ChildShape,
): Promise<readonly ArchiveDocument[]> {
  const { store, clock } = context;
  const of = { policy: policy.name, namespace: shape.namespace, collection: child.collection };
  const look = await findOrphanLook(store, of);
  const limit = namesOf(look.last?.counts.looked ?? null);
  const now = clock.now();
  const pass =
    look.pass ?? (isPassDue(look, now) ? { startedAt: now, after: null, counts: NO_ORPHANS, again: false } : null);
  const planned: ArchiveDocument[] = [];
  let next: OrphanLook = { ...look, ...of };
  // A pass that begins and ends with this look sees what is new, too.
  if (look.newest !== null && (pass === null || pass.after !== null || limit > LEAST_NAMES)) {
    const piece = await takePiece(context, shape, child, look.newest, limit);
    planned.push(...piece.planned);
    // What has to wait is found again from where it was found.
    if (!piece.again)
      next = { ...next, newest: piece.last ?? look.newest, since: addOrphans(look.since, piece.counts) };
  }
  if (pass !== null) {
    const piece = await takePiece(context, shape, child, pass.after, limit);
    planned.push(...piece.planned);
    const counts = addOrphans(pass.counts, piece.counts);
    const again = pass.again || piece.again;
    next = piece.ended
      ? {
          ...next,
          pass: null,
          last: { startedAt: pass.startedAt, endedAt: clock.now(), counts, again },
          since: NO_ORPHANS,
          newest: piece.last ?? pass.after ?? next.newest,
        }
      : { ...next, pass: { ...pass, after: piece.last ?? pass.after, counts, again } };
  }
  await saveOrphanLook(store, next);
  return planned;
}

/** How many names are read in one piece. */
function namesOf(all: number | null): number {
  return all === null ? FIRST_NAMES : Math.max(LEAST_NAMES, Math.ceil(all / LOOKS_A_PASS));
}

function isPassDue({ last }: OrphanLook, now: Date): boolean {
  if (last === null || last.again || last.counts.looked <= LEAST_NAMES) return true;
  return now.getTime() - last.startedAt.getTime() >= PASS_EVERY_MS;
}

interface Piece {
  readonly counts: OrphanCounts;
  readonly planned: readonly ArchiveDocument[];
  /** Of the last child that was looked at; null: there was none. */
  readonly last: Uint8Array | null;
  /** There are no more above it. */
  readonly ended: boolean;
  /** Something that was found has to wait. */
  readonly again: boolean;
}

async function takePiece(
  context: Context,
  shape: DatasetShape,
  child: ChildShape,
  after: Uint8Array | null,
  limit: number,
): Promise<Piece> {
  const found = new Map<ArchiveId, { readonly values: Map<string, Uint8Array>; children: number }>();
  let counts = NO_ORPHANS;
  let roots = 0;
  let last: Uint8Array | null = null;
  let ended = true;
  for await (const names of childPieces(context, child, after, limit)) {
    assertNotStopped(context);
    last = names.at(-1)?.idBytes ?? last;
    counts = { ...counts, looked: counts.looked + names.length };
    for (const { own, name } of await orphansAmong(context, shape, child, names)) {
      if (own === 'unknown' || own === 'foreign') counts = { ...counts, [own]: counts[own] + 1 };
      else if (own.kind !== 'archived') counts = { ...counts, [own.kind]: counts[own.kind] + 1 };
      else if (name.parent !== null) {
        const of = found.get(own.archive._id) ?? { values: new Map(), children: 0 };
        found.set(own.archive._id, of);
        const before = of.values.size;
        of.values.set(context.source.keyOf(name.parent), name.parent);
        of.children += 1;
        roots += of.values.size - before;
      }
    }
    if (counts.looked >= limit || roots >= MOST_ROOTS) {
      ended = false;
      break;
    }
  }
  const planned: ArchiveDocument[] = [];
  let again = false;
  for (const [archive, { values, children }] of found) {
    const outcome = await orLater(() => addOrphansOf(context, archive, child.collection, [...values.values()]));
    if (typeof outcome === 'object') planned.push(outcome);
    else if (outcome === 'waiting' || outcome === 'unknown')
      counts = { ...counts, [outcome]: counts[outcome] + children };
    // What is planned is looked at once more when it is gone: more may have come than it could take.
    if (outcome === 'later' || typeof outcome === 'object') again = true;
  }
  return { counts, planned, last, ended, again };
}

async function* childPieces(
  { source }: Context,
  child: ChildShape,
  after: Uint8Array | null,
  limit: number,
): AsyncGenerator<readonly ChildName[]> {
  let left = limit;
  for await (const batch of source.childNames(child, after, limit)) {
    for (let at = 0; at < batch.length && left > 0; at += BATCH) {
      const names = batch.slice(at, at + Math.min(BATCH, left));
      left -= names.length;
      yield names;
    }
  }
}

/** Those whose root is not in the source, each with what is known of it. Children that name nobody belong to nobody. */
export async function orphansAmong(
  context: Context,
  shape: DatasetShape,
  child: ChildShape,
  names: readonly ChildName[],
): Promise<readonly { readonly name: ChildName; readonly own: KnownRoot | 'unknown' | 'foreign' }[]> {
  const { source } = context;
  const wanted = new Map<string, Uint8Array>();
  for (const { parent } of names) if (parent !== null) wanted.set(source.keyOf(parent), parent);
  const there = await source.rootsThere(shape.namespace, child.parent, [...wanted.values()]);
  for (const key of there) wanted.delete(key);
  const absent = [...wanted.keys()];
  const known = await knownRoots(context, shape.namespace, child.parent, [...wanted.values()]);
  return names.flatMap((name) => {
    const key = name.parent === null ? null : source.keyOf(name.parent);
    if (key === null || !wanted.has(key)) return [];
    const roots = known.get(absent.indexOf(key)) ?? [];
    const own = roots.find((party) => source.isOfParty(child, name.raw, party));
    return [{ name, own: own ?? (roots.length === 0 ? ('unknown' as const) : ('foreign' as const)) }];
  });
}

/** What another worker is busy with, or a person has paused, waits. */
async function orLater<T>(work: () => Promise<T>): Promise<T | 'later'> {
  try {
    return await work();
  } catch (error) {
    if (isMoraineError(error, 'LEASE_HELD') || isMoraineError(error, 'PAUSED')) return 'later';
    throw error;
  }
}
