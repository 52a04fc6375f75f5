/** Two versions of a policy, told field by field. */
import { parsePeriod, periodWords } from './period.ts';
import type { Policy } from './policy.ts';

export interface FieldChange {
  /** `archive.for`, `rules.bots.retain` */
  readonly field: string;
  /** Null: not there. */
  readonly old: string | null;
  readonly next: string | null;
}

/** In the order of the field names. */
export function differenceOf(old: Policy, next: Policy): readonly FieldChange[] {
  const [before, after] = [leavesOf(old), leavesOf(next)];
  const fields = [...new Set([...before.keys(), ...after.keys()])].toSorted();
  return fields.flatMap((field) => {
    const change = { field, old: before.get(field) ?? null, next: after.get(field) ?? null };
    return change.old === change.next ? [] : [change];
  });
}

export function changeWords({ field, old, next }: FieldChange): string {
  return `${field}: ${old ?? 'not there'} -> ${next ?? 'not there'}`;
}

function leavesOf(policy: Policy): ReadonlyMap<string, string> {
  const leaves = new Map<string, string>();
  const walk = (path: string, value: unknown): void => {
    if (typeof value !== 'object' || value === null) {
      leaves.set(path, wordOf(value));
      return;
    }
    if (Array.isArray(value) && value.every((one) => typeof one !== 'object')) {
      leaves.set(path, value.map(wordOf).join(', '));
      return;
    }
    const entries = Object.entries(value);
    if (entries.length === 0 && path !== '') leaves.set(path, 'none');
    for (const [key, inner] of entries) walk(join(path, nameOf(inner, key)), inner);
  };
  walk('', policy);
  return leaves;
}

/** Rules and treatments by what they are called, so that one more in front of them changes nothing else. */
function nameOf(value: unknown, key: string): string {
  if (!/^\d+$/.test(key) || typeof value !== 'object' || value === null) return key;
  if ('name' in value && typeof value.name === 'string') return value.name;
  if ('how' in value && 'field' in value && typeof value.field === 'string') return value.field;
  return key;
}

function join(path: string, key: string): string {
  return path === '' ? key : `${path}.${key}`;
}

function wordOf(value: unknown): string {
  if (value === null) return 'none';
  const period = typeof value === 'string' && value.startsWith('P') ? parsePeriod(value) : null;
  return period === null ? String(value) : periodWords(period);
}
