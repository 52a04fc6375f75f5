import { randomUUID } from 'node:crypto';
import { z } from 'zod';

/**
 * What can be made to go wrong on purpose.
 *
 *   throttle        ThrottlingException, nothing happened
 *   error500        ServiceUnavailableException, nothing happened
 *   cut             the connection is cut before anything happened; GetJobOutput: in the middle of the body
 *   lost-reply      the operation took effect, then the connection is cut before the reply
 *   corrupt-output  GetJobOutput sends one byte that differs from what was stored; its headers stay true
 *   no-capacity     InsufficientCapacityException for an Expedited retrieval, unless capacity was bought
 */
export const faultKinds = ['throttle', 'error500', 'cut', 'lost-reply', 'corrupt-output', 'no-capacity'] as const;
export type FaultKind = (typeof faultKinds)[number];

export const faultSchema = z.strictObject({
  match: z.strictObject({ operation: z.string().optional(), vault: z.string().optional() }).default({}),
  times: z.int().positive().default(1),
  fault: z.enum(faultKinds),
});
export type FaultRequest = z.output<typeof faultSchema>;
export type Fault = FaultRequest & { id: string };

/** The faults that are still to happen. They live in memory only: a restart is a way to be rid of them. */
export class Faults {
  #pending: Fault[] = [];

  add(request: FaultRequest): Fault {
    const fault = { id: randomUUID(), ...request };
    this.#pending.push(fault);
    return fault;
  }

  list(): readonly Fault[] {
    return this.#pending;
  }

  /** Removes all, or only those of one vault or one id: an emulator may be shared. */
  clear(only: { vault?: string | undefined; id?: string | undefined }): void {
    this.#pending = this.#pending.filter(
      (fault) =>
        (only.vault !== undefined && fault.match.vault !== only.vault) ||
        (only.id !== undefined && fault.id !== only.id),
    );
  }

  /** The oldest fault for this call, if any; counts it down. */
  take(operation: string, vault: string | undefined): Exclude<FaultKind, 'no-capacity'> | null {
    const kind = this.#take(
      operation,
      vault,
      (fault) => fault !== 'no-capacity' && (fault !== 'corrupt-output' || operation === 'GetJobOutput'),
    );
    return kind === 'no-capacity' ? null : kind;
  }

  /** Asked only by an Expedited retrieval without bought capacity, so that no other call uses the fault up. */
  takeNoCapacity(vault: string | undefined): boolean {
    return this.#take('InitiateJob', vault, (fault) => fault === 'no-capacity') !== null;
  }

  #take(operation: string, vault: string | undefined, isWanted: (kind: FaultKind) => boolean): FaultKind | null {
    const fault = this.#pending.find(
      ({ match, fault: kind }) =>
        (match.operation === undefined || match.operation === operation) &&
        (match.vault === undefined || match.vault === vault) &&
        isWanted(kind),
    );
    if (fault === undefined) return null;
    fault.times -= 1;
    if (fault.times === 0) this.#pending = this.#pending.filter((other) => other !== fault);
    return fault.fault;
  }
}
