/** The only chance of a simulated life: one seed, and streams that branch off it by name, so that one more draw in one place moves nothing in another. */
import { uniformInt } from 'pure-rand/distribution/uniformInt';
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';

export class Random {
  readonly #seed: number;
  readonly #generator: ReturnType<typeof xoroshiro128plus>;

  constructor(seed: number) {
    this.#seed = seed | 0;
    this.#generator = xoroshiro128plus(this.#seed);
  }

  /** A stream of its own. */
  branch(name: string): Random {
    let mixed = this.#seed ^ 0x9e3779b9;
    for (const character of name)
      mixed = Math.imul(mixed ^ (character.codePointAt(0) ?? 0), 0x85ebca6b) ^ (mixed >>> 13);
    return new Random(mixed);
  }

  /** A whole number, both ends included. */
  int(from: number, to: number): number {
    return uniformInt(this.#generator, from, to);
  }

  /** True in so many of a million cases. */
  perMillion(cases: number): boolean {
    return cases > 0 && this.int(0, 999_999) < cases;
  }

  chance(probability: number): boolean {
    return this.perMillion(Math.round(probability * 1_000_000));
  }

  pick<T>(items: readonly T[]): T {
    const item = items[this.int(0, items.length - 1)];
    if (item === undefined) throw new Error('There is nothing to pick from.');
    return item;
  }
}
