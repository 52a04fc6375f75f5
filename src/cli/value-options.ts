/** `--value field=value`, given once or more. No error repeats a value: it may be somebody's address. */
import { MoraineError } from '../errors.ts';
import type { NamedValues } from '../lifecycle/exception-values.ts';

export function collectValues(value: string, before: readonly string[]): readonly string[] {
  return [...before, value];
}

/** In the order in which they were given; null: none was. Throws USAGE. */
export function namedValues(texts: readonly string[]): NamedValues | null {
  const fields = new Set<string>();
  const is: string[] = [];
  for (const text of texts) {
    const at = text.indexOf('=');
    if (at < 1 || at === text.length - 1) throw new MoraineError('USAGE', '--value takes field=value.');
    fields.add(text.slice(0, at));
    is.push(text.slice(at + 1));
  }
  const [field, ...others] = fields;
  if (others.length > 0)
    throw new MoraineError('USAGE', 'An exception looks at one field.', { hint: 'Ask for an exception for each.' });
  return field === undefined ? null : { field, is };
}
