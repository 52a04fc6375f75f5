/** What exceptions that were granted will make due on the day on which they bite: shown before it happens. */
import { type CompiledPolicy, compile, type Decision } from '../policy/compile.ts';
import { exceptionName } from '../policy/exception.ts';
import type { Partition, Position } from '../source/port.ts';
import { assertNotStopped, type Context } from './context.ts';
import type { FactsReader } from './look-ups.ts';

export interface Shortened {
  /** Its id, with how many values it names. */
  readonly exception: string;
  readonly on: Date;
  /** Records that are due from that day on, and would not be without the exception. */
  readonly records: number;
}

/** For each exception that will make something due and has not bitten yet: what it will be about on that day. */
export async function countShortened(
  context: Context,
  compiled: CompiledPolicy,
  partition: Partition,
  reader: FactsReader,
  now: number,
  after: Position | null,
): Promise<readonly Shortened[]> {
  const { policy, given } = compiled;
  const coming = given.exceptions.filter(
    ({ effect, bitesAt, until }) => effect === 'shorter' && bitesAt > now && (until === null || until > bitesAt),
  );
  const counted: Shortened[] = [];
  for (const exception of coming) {
    const on = Math.max(exception.bitesAt, exception.from);
    const others = given.exceptions.filter(({ id }) => id !== exception.id);
    const without = compile(policy, { ...given, exceptions: others }).of(partition.owner, partition.customer);
    const range = { after, upTo: null, before: compiled.superset(on).dueBefore };
    let records = 0;
    for await (const batch of context.source.scan(partition, range, context.signal)) {
      assertNotStopped(context);
      const factsOf = await reader.read(batch);
      for (const record of batch) {
        const facts = { ...factsOf(record), exemptUntil: null, quarantined: false };
        if (isTaken(compiled.decision(facts, false, on)) && !isTaken(without.decision(facts, false, on))) records += 1;
      }
    }
    if (records > 0) counted.push({ exception: exceptionName(exception), on: new Date(on), records });
  }
  return counted;
}

function isTaken(decision: Decision): boolean {
  return decision === 'due' || decision === 'expired';
}
