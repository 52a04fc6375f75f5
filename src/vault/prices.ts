/**
 * What a retrieval costs and how long it takes at most, at list prices of us-east-1 in 2025 (US dollars, without tax and
 * data transfer), from https://aws.amazon.com/s3/glacier/pricing/ and https://aws.amazon.com/s3/pricing/. An estimate
 * for the person who is about to ask for one; the bill is the service's.
 */
import type { RetrievalEstimate, StorageClass, Tier } from './port.ts';

export type PriceList = 'glacier' | 's3-glacier-ir' | 's3-glacier' | 's3-deep-archive';

interface TierPrice {
  readonly perGiB: number;
  readonly perThousandRequests: number;
  /** The upper end of what the service states. */
  readonly hours: number;
}

const SOURCE = 'AWS list prices, us-east-1, 2025';
const GIB = 2 ** 30;
const EXPEDITED_HOURS = 5 / 60;

/** Read like any other object, at once, whatever tier is asked for; the request is a GET. */
const AT_ONCE: TierPrice = { perGiB: 0.03, perThousandRequests: 0.01, hours: 0 };

const PRICES: Readonly<Record<PriceList, Readonly<Record<Tier, TierPrice | null>>>> = {
  glacier: {
    expedited: { perGiB: 0.03, perThousandRequests: 10, hours: EXPEDITED_HOURS },
    standard: { perGiB: 0.01, perThousandRequests: 0.05, hours: 5 },
    bulk: { perGiB: 0.0025, perThousandRequests: 0.025, hours: 12 },
  },
  's3-glacier-ir': { expedited: AT_ONCE, standard: AT_ONCE, bulk: AT_ONCE },
  's3-glacier': {
    expedited: { perGiB: 0.03, perThousandRequests: 10, hours: EXPEDITED_HOURS },
    standard: { perGiB: 0.01, perThousandRequests: 0.05, hours: 5 },
    bulk: { perGiB: 0, perThousandRequests: 0, hours: 12 },
  },
  's3-deep-archive': {
    expedited: null,
    standard: { perGiB: 0.02, perThousandRequests: 0.1, hours: 12 },
    bulk: { perGiB: 0.0025, perThousandRequests: 0.025, hours: 48 },
  },
};

/** The estimate for one retrieval of `bytes`. A tier that the storage class does not have is answered with `standard`; the estimate names it. */
export function estimateRetrieval(list: PriceList, bytes: number, tier: Tier): RetrievalEstimate {
  const asked = PRICES[list][tier];
  if (asked === null) return estimateRetrieval(list, bytes, 'standard');
  return {
    tier,
    hours: asked.hours,
    dollars: (bytes / GIB) * asked.perGiB + asked.perThousandRequests / 1000,
    priceSource: SOURCE,
  };
}

/** Days that are paid for at least, also of what is deleted earlier. The same pages say so. */
export const LEAST_DAYS: Readonly<Record<StorageClass, number>> = { GLACIER_IR: 90, GLACIER: 90, DEEP_ARCHIVE: 180 };

/** Of a Glacier vault. */
export const GLACIER_LEAST_DAYS = 90;

export function priceListOf(storageClass: StorageClass): PriceList {
  return PRICE_LISTS[storageClass];
}

const PRICE_LISTS: Readonly<Record<StorageClass, PriceList>> = {
  GLACIER_IR: 's3-glacier-ir',
  GLACIER: 's3-glacier',
  DEEP_ARCHIVE: 's3-deep-archive',
};

export function hasTier(list: PriceList, tier: Tier): boolean {
  return PRICES[list][tier] !== null;
}
