import { accessDenied } from './errors.ts';
import { type ConditionContext, conditionHolds, contextKey } from './policy-conditions.ts';
import { matchesAction, type PolicyDocument, type Statement } from './policy-document.ts';
import type { Principal } from './principals.ts';
import { matchesWildcard } from './wildcard.ts';

/**
 * Who may do what. A Deny in any policy wins: in the user's own, in the vault's access policy, in its vault lock policy.
 * Without one, a principal of the vault's account needs an Allow in its own policy or in the vault's; a principal of
 * another account needs one in both. The account's owner, and users without a policy, may do everything of their own.
 */
export type AccessRequest = {
  principal: Principal;
  /** `glacier:DeleteArchive` and so on. */
  action: string;
  resource: string;
  /** The account that owns the resource. */
  owner: string;
  /** The policies of the vault that are in force. */
  vaultPolicies: readonly PolicyDocument[];
  context: ConditionContext;
};

/** Throws AccessDeniedException unless the request is allowed. */
export function authorize(request: AccessRequest): void {
  const { principal, owner, vaultPolicies } = request;
  const own = principal.policy === null ? { denies: false, allows: true } : verdict([principal.policy], request, null);
  const vault = verdict(vaultPolicies, request, principal);
  if (own.denies) throw denied(request, 'with an explicit deny in an identity-based policy');
  if (vault.denies) throw denied(request, 'with an explicit deny in a resource-based policy');
  if (principal.account === owner) {
    if (own.allows || vault.allows) return;
    throw denied(request, `because no identity-based policy allows the ${request.action} action`);
  }
  if (own.allows && vault.allows) return;
  throw denied(request, `because no resource-based policy allows the ${request.action} action`);
}

function verdict(policies: readonly PolicyDocument[], request: AccessRequest, principal: Principal | null) {
  const effects = policies
    .flatMap(({ Statement }) => Statement)
    .filter((statement) => applies(statement, request, principal))
    .map(({ Effect }) => Effect);
  return { denies: effects.includes('Deny'), allows: effects.includes('Allow') };
}

/** `principal` is null for the policies that hang on the principal itself. */
function applies(statement: Statement, request: AccessRequest, principal: Principal | null): boolean {
  const { Principal, NotPrincipal, Action, NotAction, Resource, NotResource, Condition = {} } = statement;
  const isNamed = (names: readonly string[]) => principal !== null && names.some((name) => isCalled(name, principal));
  if (Principal !== undefined && !isNamed(Principal)) return false;
  if (NotPrincipal !== undefined && isNamed(NotPrincipal)) return false;
  const isAction = (patterns: readonly string[]) => patterns.some((pattern) => matchesAction(pattern, request.action));
  if (Action !== undefined ? !isAction(Action) : isAction(NotAction ?? [])) return false;
  const isResource = (patterns: readonly string[]) =>
    patterns.some((pattern) => matchesWildcard(pattern, request.resource));
  if (Resource !== undefined ? !isResource(Resource) : isResource(NotResource ?? [])) return false;
  return conditionHolds(Condition, request.context);
}

/** A principal is named by `*`, by its ARN, or by its account, as 12 digits or as the ARN of the account's root. */
function isCalled(name: string, principal: Principal): boolean {
  return [principal.arn, '*', principal.account, `arn:aws:iam::${principal.account}:root`].includes(name);
}

function denied({ principal, action, resource }: AccessRequest, reason: string) {
  return accessDenied(
    `User: ${principal.arn} is not authorized to perform: ${action} on resource: ${resource} ${reason}`,
  );
}

export type RequestFacts = {
  principal: Principal;
  nowMs: number;
  sourceIp: string;
  userAgent: string;
  tags: Readonly<Record<string, string>>;
  /** When the archive that the request names came into the vault; null when it names none. */
  archiveCreatedAtMs: number | null;
};

const DAY_MS = 24 * 60 * 60 * 1000;

/** What conditions can ask about a request. */
export function contextOf(facts: RequestFacts): ConditionContext {
  const { principal, nowMs } = facts;
  const username = /:user\/(?:.*\/)?([^/]+)$/.exec(principal.arn)?.[1];
  const context = new Map([
    ['aws:CurrentTime', new Date(nowMs).toISOString()],
    ['aws:EpochTime', String(Math.floor(nowMs / 1000))],
    ['aws:PrincipalAccount', principal.account],
    ['aws:PrincipalArn', principal.arn],
    ['aws:PrincipalType', username === undefined ? 'Account' : 'User'],
    ['aws:userid', principal.accessKeyId],
    ['aws:SecureTransport', 'false'],
    ['aws:SourceIp', facts.sourceIp],
    ['aws:UserAgent', facts.userAgent],
    ...(username === undefined ? [] : [['aws:username', username] as const]),
    ...Object.entries(facts.tags).map(([key, value]) => [`glacier:ResourceTag/${key}`, value] as const),
  ]);
  if (facts.archiveCreatedAtMs !== null) {
    // Whole days, as the name says: an archive of 364 days and 23 hours is not yet 365 days old.
    const days = Math.floor((nowMs - facts.archiveCreatedAtMs) / DAY_MS);
    context.set('glacier:ArchiveAgeInDays', String(days));
  }
  return new Map([...context].map(([key, value]) => [contextKey(key), value]));
}
