/** What the options of `moraine hold place` name, as the act takes it. */
import { MoraineError } from '../errors.ts';
import { id, type OwnerId } from '../ids.ts';
import type { Context } from '../lifecycle/context.ts';
import type { HoldRequest } from '../lifecycle/hold.ts';
import { policiesToRun } from '../lifecycle/published.ts';
import type { Policy } from '../policy/policy.ts';
import { normalFacet } from '../source/raw-document.ts';
import { idBytesOfText } from './record-id.ts';

export interface PlaceOptions {
  readonly case: string;
  readonly reason: string;
  readonly all?: true;
  readonly owner?: string;
  readonly customer?: string;
  readonly dataset?: string;
  readonly triggerFrom?: Date;
  readonly triggerBefore?: Date;
  readonly key: readonly string[];
  readonly facet: readonly string[];
}

/** Throws USAGE for what cannot be a hold: before anything is written. */
export async function holdRequest(context: Context, options: PlaceOptions): Promise<HoldRequest> {
  const { owner, customer, dataset, triggerFrom, triggerBefore, key } = options;
  const named = [owner, customer, dataset, triggerFrom, triggerBefore].filter((value) => value !== undefined);
  const selectors = named.length + key.length + options.facet.length;
  if (options.case.trim() === '' || options.reason.trim() === '') throw usage('A hold has a case and a reason.');
  if (selectors === 0 && options.all === undefined) {
    throw usage('A hold on nothing in particular covers everything.', 'Name what it covers, or pass --all.');
  }
  if (selectors > 0 && options.all !== undefined) throw usage('--all leaves nothing to name beside it.');
  if (key.length > 0 && (owner === undefined || dataset === undefined))
    throw usage('--key needs --owner and --dataset.');
  if (options.facet.length > 0 && owner === undefined) throw usage('--facet needs --owner.');
  if (triggerFrom !== undefined && triggerBefore !== undefined && triggerFrom >= triggerBefore) {
    throw usage('No trigger is at or after --trigger-from and before --trigger-before.');
  }
  const request = {
    caseNumber: options.case.trim(),
    reason: options.reason.trim(),
    owner: owner === undefined ? null : id.owner(owner),
    customer: customer === undefined ? null : id.customer(customer),
    namespace: dataset === undefined ? null : id.namespace(dataset),
    triggerFrom: triggerFrom ?? null,
    triggerBefore: triggerBefore ?? null,
    recordIds: key.flatMap(idBytesOfText),
    facet: facetOf(context, options.facet),
  };
  await assertDeclared(context, request);
  return request;
}

function facetOf(context: Context, texts: readonly string[]): HoldRequest['facet'] {
  const names = new Set<string>();
  const values: string[] = [];
  for (const text of texts) {
    const at = text.indexOf('=');
    const value = normalFacet(text.slice(at + 1));
    if (at < 1 || value === '') throw usage('--facet takes name=value.');
    names.add(text.slice(0, at));
    // A number or an id in the source is compared by type and value.
    values.push(value, ...idBytesOfText(text.slice(at + 1).trim()).map((bytes) => context.source.keyOf(bytes)));
  }
  const [name, ...others] = names;
  if (others.length > 0) throw usage('A hold names one facet.', 'Place a hold for each: each keeps what it covers.');
  return name === undefined ? null : { name, values };
}

/** A facet that no policy declares would cover everything of the owner: a slip, more likely than a wish. */
async function assertDeclared(context: Context, { facet, namespace }: HoldRequest): Promise<void> {
  if (facet === null) return;
  const policies = await policiesToRun(context.store, null);
  const isDeclared = policies.some(
    (policy) => (namespace === null || isAbout(policy, namespace)) && Object.hasOwn(policy.dataset.facets, facet.name),
  );
  if (isDeclared) return;
  throw usage(
    `No policy in force declares a facet named ${facet.name}.`,
    'Declare it under dataset.facets and publish the policy, or hold the owner, customer or dataset whole.',
  );
}

/** What may be a slip and is not refused, for a hold may cover what does not exist yet. */
export async function doubts(context: Context, request: HoldRequest): Promise<readonly string[]> {
  const policies = await policiesToRun(context.store, null);
  const { owner, namespace, facet } = request;
  const undeclared = policies.filter(
    ({ dataset }) =>
      facet !== null &&
      (namespace === null || dataset.collection === namespace) &&
      !Object.hasOwn(dataset.facets, facet.name),
  );
  return [
    ...(owner !== null && !isKnown(context, owner) ? [`moraine.yaml has no owner ${owner}.`] : []),
    ...(namespace !== null && !policies.some((policy) => isAbout(policy, namespace))
      ? [`No policy in force is about ${namespace}.`]
      : []),
    ...undeclared.map(
      ({ name }) =>
        `Policy ${name} does not declare facet ${facet?.name}: all of the owner's records there are covered.`,
    ),
  ];
}

/** Its dataset, or the children of it: who holds a child holds its root. */
function isAbout({ dataset }: Policy, namespace: string): boolean {
  return (
    dataset.collection === namespace || (dataset.children ?? []).some(({ collection }) => collection === namespace)
  );
}

function isKnown(context: Context, owner: OwnerId): boolean {
  return context.owners.has(owner);
}

function usage(text: string, hint?: string): MoraineError {
  return new MoraineError('USAGE', text, hint === undefined ? {} : { hint });
}
