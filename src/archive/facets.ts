/**
 * The facets of an archive, as keyed HMACs, so that a hold can name a subject although the daemon cannot read
 * archives. Bounded: where there are more values than are kept, the archive counts as covered by every hold on a facet
 * ("a hold that cannot be proved not to cover an archive covers it whole").
 */

/** 100,000 codes of 16 bytes are 1.6 MB in the ledger and some 10 MB while they are collected. */
const MAX_FACET_VALUES = 100_000;
/** 128 bits: two values of one owner never share a code by chance. */
const CODE_BYTES = 16;

export type Hmac = (data: string | Uint8Array) => Uint8Array;

export type ArchiveFacets =
  | { readonly coversEverything: true }
  | { readonly coversEverything: false; readonly codes: readonly string[] };

/** The code of one value of a facet: the same for sealing and for a hold that looks for it. Base64url, 22 characters. */
export function facetCode(hmac: Hmac, facet: string, value: string): string {
  // As JSON, the pair ("a", "b\0c") cannot be read as ("a\0b", "c").
  const mac = hmac(JSON.stringify([facet, value]));
  return Buffer.from(mac.buffer, mac.byteOffset, CODE_BYTES).toString('base64url');
}

export class FacetCollector {
  readonly #hmac: Hmac;
  readonly #maxValues: number;
  #codes: Set<string> | null = new Set();

  constructor(hmac: Hmac, maxValues: number = MAX_FACET_VALUES) {
    this.#hmac = hmac;
    this.#maxValues = maxValues;
  }

  /** Facet name -> the values of one record. */
  add(facets: Readonly<Record<string, readonly string[]>>): void {
    if (this.#codes === null) return;
    for (const [facet, values] of Object.entries(facets)) {
      for (const value of values) this.#codes.add(facetCode(this.#hmac, facet, value));
    }
    if (this.#codes.size > this.#maxValues) this.#codes = null;
  }

  /** The codes, sorted, or that there were too many to keep. */
  result(): ArchiveFacets {
    if (this.#codes === null) return { coversEverything: true };
    return { coversEverything: false, codes: [...this.#codes].sort() };
  }
}
