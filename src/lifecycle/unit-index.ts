/**
 * What stays of units in the ledger when a roster shrinks, as keyed codes: the children of an archive, so that one of them
 * is found in it; and what children name the deleted roots by, so that one that is written later is known for what it is.
 */
import { type ArchiveDocument, UNIT_ARCHIVE_VERSION } from '../ledger/archive-document.ts';
import { childName, writeChildIndex } from '../ledger/child-index.ts';
import { readPageState } from '../ledger/clearing.ts';
import type { CodeEntry } from '../ledger/code-pages.ts';
import { rootName, writeDeletedRoots } from '../ledger/deleted-roots.ts';
import { readRosterPage } from '../ledger/rosters.ts';
import { unitPagesOf } from '../ledger/unit-pages.ts';
import { toShape } from '../policy/policy.ts';
import type { UnitScope } from './cleared-roots.ts';
import type { Context } from './context.ts';
import { unitScopeOf } from './late-children.ts';
import { pinnedPolicy } from './published.ts';

/** Before roster and outcomes go. Idempotent. */
export async function writeUnitIndex(context: Context, archive: ArchiveDocument): Promise<void> {
  const { store, keys, source } = context;
  // Older Moraines never had units, and nothing hangs on the records of an addendum.
  if (archive.v < UNIT_ARCHIVE_VERSION || archive.addendumTo !== undefined || archive.stored === null) return;
  const scope = unitScopeOf(archive, toShape(await pinnedPolicy(store, archive.policyVersion)));
  // An earlier worker had written all of it, and was cut while it removed them.
  if (!(await isRosterWhole(context, scope))) return;
  const hmac = await keys.hmacFor(archive.owner);
  async function* children(): AsyncGenerator<Required<CodeEntry>> {
    let first = 0;
    for (let page = 0; page < scope.pages; page++) {
      const roots = (await readRosterPage(store, scope.attempt, page))?.records ?? [];
      for await (const unit of unitPagesOf(store, scope.attempt, page)) {
        if (unit.kind !== 'children') continue;
        for (const { id, root } of unit.children) {
          const idOfRoot = roots[root - first]?.id;
          if (idOfRoot === undefined) continue;
          const code = hmac(childName(unit.collection, source.keyOf(id)));
          yield { code, value: hmac(source.keyOf(idOfRoot)) };
        }
      }
      first += roots.length;
    }
  }
  if (archive.stored.children !== undefined) {
    await writeChildIndex(store, archive._id, archive.stored.children, children);
  }
  await rememberDeletedRoots(context, scope, 'archive', archive.stored.records);
}

/** Of the deleted roots of an archive or a disposal, whose pages are all settled. Idempotent. */
export async function rememberDeletedRoots(
  context: Context,
  scope: UnitScope,
  kind: 'archive' | 'disposal',
  records: number,
): Promise<void> {
  const { store, source } = context;
  const { subject, owner, customer, shape } = scope;
  const rules = new Map((shape.children ?? []).map((child) => [child.parent, child]));
  if (rules.size === 0 || records === 0) return;
  const hmac = await context.keys.hmacFor(owner);
  async function* codes(): AsyncGenerator<CodeEntry> {
    let first = 0;
    for (let page = 0; page < scope.pages; page++) {
      const roots = (await readRosterPage(store, scope.attempt, page))?.records ?? [];
      const { outcomes } = await readPageState(store, subject, page);
      const from = first;
      first += roots.length;
      if (outcomes === null) continue;
      const isDeleted = (root: number) => outcomes[root - from] === 'deleted';
      if (rules.has('_id')) {
        for (const [at, { id }] of roots.entries()) {
          if (isDeleted(from + at)) yield { code: hmac(rootName('_id', source.keyOf(id))) };
        }
      }
      for await (const unit of unitPagesOf(store, scope.attempt, page)) {
        if (unit.kind !== 'parents') continue;
        for (const [field, { collection }] of rules) {
          if (collection !== unit.collection) continue;
          for (const { root, value } of unit.parents) {
            if (isDeleted(root)) yield { code: hmac(rootName(field, source.keyOf(value))) };
          }
        }
      }
    }
  }
  const of = { _id: subject, kind, namespace: shape.namespace, owner, customer, count: records * rules.size };
  await writeDeletedRoots(store, of, codes);
}

async function isRosterWhole({ store }: Context, { attempt, pages }: UnitScope): Promise<boolean> {
  for (let page = 0; page < pages; page++) if ((await readRosterPage(store, attempt, page)) === null) return false;
  return true;
}
