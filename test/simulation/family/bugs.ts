/** Mistakes that somebody could make with what hangs on records, and the property that must catch each. */
import type { Patch } from '../planted/bug.ts';
import type { FamilyProperty } from './life.ts';

export interface FamilyBug {
  readonly name: string;
  /** What the product does wrong, in one sentence. */
  readonly what: string;
  readonly patches: readonly Patch[];
  readonly caughtBy: readonly FamilyProperty[];
}

export const FAMILY_BUGS: readonly FamilyBug[] = [
  {
    name: 'children of roots that stayed',
    what: 'The children of a page go, whatever became of their roots.',
    patches: [
      {
        file: 'src/lifecycle/clear-children.ts',
        find: 'page.children.flatMap(({ root }, at) => (roots.gone.has(root) ? [at] : []))',
        replace: 'page.children.map((_, at) => at)',
      },
    ],
    caughtBy: ['child-before-root'],
  },
  {
    name: 'no look for late ones',
    what: 'What is found late is taken for settled.',
    patches: [
      {
        file: 'src/lifecycle/clear-children.ts',
        find: "if (found.size === 0) return { kind: 'settled' };",
        replace: "return { kind: 'settled' };",
      },
    ],
    caughtBy: ['orphan-left'],
  },
  {
    name: 'late children without an addendum',
    what: 'Late children are deleted at once although there is an archive, as if there were none.',
    patches: [{ file: 'src/lifecycle/clear.ts', find: "late: 'addendum'", replace: "late: 'delete'" }],
    caughtBy: ['child-lost'],
  },
  {
    name: 'foreign children at sealing',
    what: 'Nobody asks whose a child is when its record is sealed.',
    patches: [
      {
        file: 'src/lifecycle/unit-reader.ts',
        find: "if (!source.isOfParty(child, record.raw, this.#party)) return 'child-of-another';",
        replace: '',
      },
    ],
    caughtBy: ['foreign-child-deleted'],
  },
  {
    name: 'late foreign children',
    what: 'Nobody asks whose a child is when it comes late.',
    patches: [
      {
        file: 'src/lifecycle/late-children.ts',
        find: 'const isOurs = context.source.isOfParty(child, record.raw, scope);',
        replace: 'const isOurs = true;',
      },
    ],
    caughtBy: ['foreign-child-deleted'],
  },
  {
    name: 'void children forgotten',
    what: 'Which copies of children are void is not kept when the roster goes.',
    patches: [{ file: 'src/lifecycle/clear.ts', find: '  await writeVoidUnits(context, archive);\n', replace: '' }],
    caughtBy: ['void-child-restored'],
  },
];

/** `none`: null. */
export function familyBugNamed(name: string): FamilyBug | null {
  if (name === 'none') return null;
  const found = FAMILY_BUGS.find((bug) => bug.name === name);
  if (found === undefined) throw new Error(`There is no planted bug ${JSON.stringify(name)}.`);
  return found;
}
