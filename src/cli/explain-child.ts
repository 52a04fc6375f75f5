/** For `explain`: the record that a child belongs to, and what becomes of a child whose record is not in the source. */
import type { Namespace } from '../ids.ts';
import type { Context } from '../lifecycle/context.ts';
import { type KnownRoot, knownRoots } from '../lifecycle/known-roots.ts';
import { type Policy, toShape } from '../policy/policy.ts';
import type { ChildShape, RawRecord } from '../source/port.ts';
import { idText } from './record-id.ts';
import { day } from './words.ts';

export interface RootAnswer {
  readonly namespace: Namespace;
  /** The field of the child, and of its root. */
  readonly key: string;
  readonly parent: string;
  /** `_id` of the root when it is in the source; else what the child names it by, and null where that can name nobody. */
  readonly id: string | null;
  readonly inSource: boolean;
  /** The child names another owner or customer than its root has: see docs/operating.md. */
  readonly isForeign: boolean;
  /** Of a root that is not in the source: where its copy is, or who deleted it; null: nothing is known of it. */
  readonly deletedBy: {
    readonly archive: string | null;
    readonly dueAt: Date | null;
    readonly by: string | null;
    /** No copy of it is left, or will be. */
    readonly isPast: boolean;
  } | null;
}

export interface ExplainedChild {
  readonly root: RootAnswer;
  /** The root itself, when it is in the source. */
  readonly record: RawRecord | null;
}

export function childRuleOf(policy: Policy, namespace: Namespace): ChildShape | null {
  return (toShape(policy).children ?? []).find(({ collection }) => collection === namespace) ?? null;
}

export async function explainChild(
  context: Context,
  policy: Policy,
  rule: ChildShape,
  child: RawRecord,
): Promise<ExplainedChild> {
  const { source } = context;
  const shape = toShape(policy);
  const { namespace } = shape;
  const { key, parent } = rule;
  const value = source.parentOf({ ...rule, parent: key }, child.raw);
  const root = { namespace, key, parent, id: null, inSource: false, isForeign: false, deletedBy: null };
  if (value === null) return { root, record: null };
  const found =
    parent === '_id' ? await source.readByIds(namespace, [value]) : await source.readByKey(namespace, parent, [value]);
  const record = found.get(source.keyOf(value));
  if (record !== undefined) {
    const { owner, customer } = source.facts(shape, record.raw);
    const isForeign = owner !== null && customer !== null && !source.isOfParty(rule, child.raw, { owner, customer });
    return { root: { ...root, id: idText(record.idBytes), inSource: true, isForeign }, record };
  }
  const known = (await knownRoots(context, namespace, parent, [value])).get(0) ?? [];
  const own = known.find((party) => source.isOfParty(rule, child.raw, party));
  return {
    root: {
      ...root,
      id: idText(value),
      isForeign: own === undefined && known.length > 0,
      deletedBy: own === undefined ? null : deletedBy(own),
    },
    record: null,
  };
}

function deletedBy(known: KnownRoot): NonNullable<RootAnswer['deletedBy']> {
  return known.kind === 'archived'
    ? { archive: known.archive._id, dueAt: known.archive.dueAt, by: null, isPast: false }
    : { archive: null, dueAt: null, by: known.by, isPast: known.kind === 'past' };
}

export function fateText(root: RootAnswer): readonly string[] {
  const { namespace, key, parent, id, inSource, isForeign, deletedBy: by } = root;
  const named = `record ${id} of ${namespace}${parent === '_id' ? '' : ` by its ${parent}`}`;
  if (id === null) return [`! It names no record of ${namespace} in ${key}: it belongs to nobody, and stays.`];
  if (inSource) {
    return [
      `  It belongs to record ${id} of ${namespace}, and goes with it. What follows is about that record.`,
      ...(isForeign
        ? ['! It names another owner or customer than that: the record is quarantined, and both stay.']
        : []),
    ];
  }
  if (isForeign)
    return [`! It names ${named}, which was deleted, and another owner or customer than that had: it stays.`];
  if (by === null) {
    return [`! It names ${named}, which is not in the source, and which nothing that Moraine knows deleted: it stays.`];
  }
  if (by.archive === null) {
    const fate = by.isPast ? 'No copy of it is kept, and this is past its date.' : 'It waits for what is done there.';
    return [`! It names ${named}, which ${by.by} deleted. ${fate}`];
  }
  return [
    `! It names ${named}, which archive ${by.archive} holds: a run puts it into an addendum, until ${day(by.dueAt)}.`,
  ];
}
