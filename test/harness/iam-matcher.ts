/**
 * What AWS would answer to a request under one policy, as its page on policy evaluation has it: an explicit deny wins, then
 * an allow, else it is denied. Knows the operators that our policies use and throws for any other.
 */
import type { PolicyDocument, Statement } from '../../src/iam/policy.ts';

export interface IamRequest {
  readonly action: string;
  readonly resource: string;
  readonly context?: Readonly<Record<string, string>>;
}

export function isAllowed({ Statement: statements }: PolicyDocument, request: IamRequest): boolean {
  const met = statements.filter((statement) => isMet(statement, request));
  return met.some(({ Effect }) => Effect === 'Allow') && !met.some(({ Effect }) => Effect === 'Deny');
}

function isMet(
  { Action, Resource, Condition = {} }: Statement,
  { action, resource, context = {} }: IamRequest,
): boolean {
  return (
    // Actions match whatever the case, resources do not.
    Action.some((pattern) => matches(pattern.toLowerCase(), action.toLowerCase())) &&
    Resource.some((pattern) => matches(pattern, resource)) &&
    Object.entries(Condition).every(([operator, keys]) =>
      Object.entries(keys).every(([key, wanted]) => holds(operator, [wanted].flat(), context[key])),
    )
  );
}

function holds(operator: string, wanted: readonly string[], found: string | undefined): boolean {
  if (operator === 'Null') return wanted.includes(String(found === undefined));
  if (operator === 'StringEquals') return found !== undefined && wanted.map(withoutVariables).includes(found);
  throw new Error(`The matcher does not know ${operator}.`);
}

/** `${$}` is a dollar; any other variable would be one of the request, which none of ours may have. */
function withoutVariables(text: string): string {
  const plain = text.replaceAll(`\${$}`, '\u0000');
  if (plain.includes(`\${`)) throw new Error(`${text} has a variable.`);
  return plain.replaceAll('\u0000', '$');
}

function matches(pattern: string, text: string): boolean {
  const source = pattern
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.');
  return new RegExp(`^${source}$`, 's').test(text);
}
