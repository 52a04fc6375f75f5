/** What the judge's own tests share: which properties they have shown to catch something, and a yes of another person. */
import { expect } from 'vitest';
import type { HandMade } from './hand-made.ts';
import { PROPERTIES, type PropertyName } from './properties.ts';

export const shown = new Set<string>();

/** The world broke this property, and nothing else but what follows from it. */
export function expectBroken(world: HandMade, property: PropertyName, ...alsoBroken: readonly PropertyName[]): void {
  shown.add(property);
  expect([...world.broken].sort()).toEqual([property, ...alsoBroken].sort());
  const [violation] = world.judge.violations.filter((each) => each.property === property);
  expect(violation?.promise).toBe(PROPERTIES[property].promise);
}

/** Ann asks, and it is granted by whom it says; `says`: who was seen to say yes. */
export async function approve(
  world: HandMade,
  of: {
    readonly kind: string;
    readonly subject: Readonly<Record<string, string>>;
    readonly shown?: string;
    readonly items?: readonly string[];
  },
  { by = 'person:bob', says = by }: { readonly by?: string; readonly says?: string } = {},
): Promise<void> {
  const approval = {
    _id: `ap-${of.kind}${of.subject['act'] ?? ''}`,
    shown: '{}',
    items: [],
    requestedBy: 'person:ann',
    spentFor: null,
    ...of,
  };
  await world.write('approvals', { ...approval, state: 'requested', grants: [] });
  await world.see({ what: 'approval said', by: 'operator-9', person: says, approval: approval._id, how: 'grant' });
  await world.write('approvals', { ...approval, state: 'granted', grants: [{ by }] });
}
