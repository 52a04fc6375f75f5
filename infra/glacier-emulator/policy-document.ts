import { z } from 'zod';
import { invalidPolicy } from './errors.ts';
import { isKnownConditionKey, isKnownOperator } from './policy-conditions.ts';
import { matchesWildcard } from './wildcard.ts';

/** "This policy can be up to 20 KB in size": access policies and vault lock policies alike. */
const LARGEST_POLICY_BYTES = 20 * 1024;

const texts = z.union([z.string(), z.array(z.string())]).transform((value) => [value].flat());
const scalar = z.union([z.string(), z.number(), z.boolean()]).transform(String);
const scalars = z.union([scalar, z.array(scalar)]).transform((value) => [value].flat());
const principals = z.union([
  z.literal('*').transform(() => ['*']),
  z.strictObject({ AWS: texts }).transform(({ AWS }) => AWS),
]);

const statementSchema = z
  .strictObject({
    Sid: z.string().optional(),
    Effect: z.enum(['Allow', 'Deny']),
    Principal: principals.optional(),
    NotPrincipal: principals.optional(),
    Action: texts.optional(),
    NotAction: texts.optional(),
    Resource: texts.optional(),
    NotResource: texts.optional(),
    Condition: z.record(z.string(), z.record(z.string(), scalars)).optional(),
  })
  .refine(({ Action, NotAction }) => (Action === undefined) !== (NotAction === undefined), 'Action or NotAction')
  .refine(
    ({ Resource, NotResource }) => (Resource === undefined) !== (NotResource === undefined),
    'Resource or NotResource',
  );

const documentSchema = z.strictObject({
  Version: z.enum(['2012-10-17', '2008-10-17']).optional(),
  Id: z.string().optional(),
  Statement: z.preprocess((value) => (Array.isArray(value) ? value : [value]), z.array(statementSchema).min(1)),
});
export type PolicyDocument = z.output<typeof documentSchema>;
export type Statement = PolicyDocument['Statement'][number];

/** A policy that hangs on a user: it names no principal. Throws a text for whoever wrote it. */
export function readIdentityPolicy(value: unknown, actions: readonly string[]): PolicyDocument {
  const parsed = documentSchema.safeParse(value);
  if (!parsed.success) throw invalid(firstIssue(parsed.error));
  for (const statement of parsed.data.Statement) {
    if (statement.Principal !== undefined || statement.NotPrincipal !== undefined) {
      throw invalid('a policy of a user names no principal');
    }
    checkActions(statement, actions);
    checkConditions(statement);
  }
  return parsed.data;
}

/**
 * A policy that hangs on a vault. Everything that would never take effect is refused, as a policy that nobody can test
 * by waiting must say what it means: other resources, actions that the service does not have, unknown conditions.
 */
export function readVaultPolicy(
  text: string,
  vaultArn: string,
  actions: readonly string[],
  kind = 'vault access policy',
): PolicyDocument {
  try {
    return readPolicyOf(text, vaultArn, actions);
  } catch (error) {
    if (error instanceof Invalid) throw invalidPolicy(kind, error.message);
    throw error;
  }
}

function readPolicyOf(text: string, vaultArn: string, actions: readonly string[]): PolicyDocument {
  if (Buffer.byteLength(text) > LARGEST_POLICY_BYTES) {
    throw invalid(`it has more than ${LARGEST_POLICY_BYTES} bytes`);
  }
  const parsed = documentSchema.safeParse(parseJson(text));
  if (!parsed.success) throw invalid(firstIssue(parsed.error));
  for (const statement of parsed.data.Statement) {
    if ((statement.Principal === undefined) === (statement.NotPrincipal === undefined)) {
      throw invalid('each statement needs a Principal');
    }
    for (const resource of [...(statement.Resource ?? []), ...(statement.NotResource ?? [])]) {
      if (!matchesWildcard(resource, vaultArn)) {
        throw invalid(`the resource ${resource} is not the vault ${vaultArn}`);
      }
    }
    checkActions(statement, actions);
    checkConditions(statement);
  }
  return parsed.data;
}

function checkActions(statement: Statement, actions: readonly string[]): void {
  for (const pattern of [...(statement.Action ?? []), ...(statement.NotAction ?? [])]) {
    const isKnown = actions.some((action) => matchesAction(pattern, action));
    if (!isKnown) throw invalid(`no action of the service matches ${pattern}`);
  }
}

function checkConditions({ Condition = {} }: Statement): void {
  for (const [operator, byKey] of Object.entries(Condition)) {
    if (!isKnownOperator(operator)) throw invalid(`unknown condition operator ${operator}`);
    for (const key of Object.keys(byKey)) {
      if (!isKnownConditionKey(key)) throw invalid(`unknown condition key ${key}`);
    }
  }
}

/** Names of actions are compared without regard to case, and may have `*` and `?`. */
export function matchesAction(pattern: string, action: string): boolean {
  return matchesWildcard(pattern.toLowerCase(), action.toLowerCase());
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw invalid('it is not JSON');
  }
}

/** What is wrong with a policy. */
class Invalid extends Error {}

const invalid = (reason: string) => new Invalid(reason);

function firstIssue(error: z.ZodError): string {
  const [issue] = error.issues;
  return issue === undefined ? 'its form is wrong' : `${issue.path.join('.') || 'document'}: ${issue.message}`;
}
