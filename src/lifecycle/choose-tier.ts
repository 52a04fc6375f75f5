/** Which tier a retrieval takes: the cheapest that meets the deadline and stays below the most that it may cost. */
import { MoraineError } from '../errors.ts';
import type { Tier } from '../vault/port.ts';

/** What all of an order takes in one tier, at most. */
export interface TierOffer {
  readonly tier: Tier;
  readonly dollars: number;
  readonly hours: number;
  /** Why it cannot be had for this set; null: it can. */
  readonly refusal: string | null;
}

export interface TierWish {
  /** A tier that was named; null: the cheapest that will do. */
  readonly tier: Tier | null;
  readonly deadlineHours: number | null;
  readonly maxDollars: number | null;
}

/** Amounts are sums of fractions of cents: what differs by less is the same. */
const SAME_DOLLARS = 1e-9;

/** Throws RETRIEVAL_OVER_LIMIT, saying what would be possible and at what cost. */
export function chooseTier(offers: readonly TierOffer[], wish: TierWish): TierOffer {
  const [cheapest] = offers.filter((offer) => fits(offer, wish)).toSorted(byCost);
  if (cheapest !== undefined) return cheapest;
  const asked = [
    ...(wish.tier === null ? [] : [`by tier ${wish.tier}`]),
    ...(wish.deadlineHours === null ? [] : [`within ${hoursText(wish.deadlineHours)}`]),
    ...(wish.maxDollars === null ? [] : [`for at most ${dollarsText(wish.maxDollars)}`]),
  ];
  const possible = offers.toSorted(byCost).map(offerText);
  throw new MoraineError(
    'RETRIEVAL_OVER_LIMIT',
    `It cannot be had ${asked.join(' and ')}. Possible: ${possible.join('; ')}.`,
  );
}

function fits({ tier, dollars, hours, refusal }: TierOffer, wish: TierWish): boolean {
  // Written so that what is no number is not below anything.
  return (
    refusal === null &&
    (wish.tier === null || wish.tier === tier) &&
    (wish.deadlineHours === null || hours <= wish.deadlineHours) &&
    (wish.maxDollars === null || dollars <= wish.maxDollars + SAME_DOLLARS)
  );
}

/** Of two that cost the same, the faster one. */
function byCost(a: TierOffer, b: TierOffer): number {
  return a.dollars - b.dollars || a.hours - b.hours;
}

export function offerText({ tier, dollars, hours, refusal }: TierOffer): string {
  if (refusal !== null) return `${tier}: not for this (${refusal})`;
  return `${tier}: about ${dollarsText(dollars)} within ${hoursText(hours)}`;
}

/** Cents matter little, and fractions of them are all that a small archive costs. */
export function dollarsText(dollars: number): string {
  return `$${dollars >= 100 ? dollars.toFixed(2) : dollars.toFixed(4)}`;
}

export function hoursText(hours: number): string {
  const minutes = Math.max(1, Math.ceil(hours * 60 - 1e-6));
  if (minutes < 60) return minutes === 1 ? '1 minute' : `${minutes} minutes`;
  const whole = Math.ceil(minutes / 60);
  return whole === 1 ? '1 hour' : `${whole} hours`;
}
