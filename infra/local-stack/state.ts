import { z } from 'zod';
import { readJsonFile, removeFile } from './json-file.ts';
import { stackFiles } from './places.ts';
import { processRef } from './processes.ts';
import { SERVICES } from './services.ts';

const serverState = z.object({
  name: z.string(),
  process: processRef,
  port: z.number().int(),
  log: z.string(),
  /** `ready` has answered; `ended` was seen to end by itself and stays so: nothing is restarted silently. */
  status: z.enum(['starting', 'ready', 'ended']),
});
export type ServerState = z.infer<typeof serverState>;

/** Which checkout's emulator is to run: the hash is that of its code, the request tells one asking from the next. */
const wantedEmulator = z.object({ checkout: z.string(), hash: z.string(), request: z.string() });
export type WantedEmulator = z.infer<typeof wantedEmulator>;

/**
 * What runs, written by the supervisor alone. A server's entry is there as soon as it has a pid, so that whoever comes
 * after a killed supervisor can end what it left.
 */
const stackState = z.object({
  version: z.literal(1),
  way: z.enum(['docker', 'native']),
  supervisor: processRef,
  services: z.array(z.enum(SERVICES)),
  urls: z.partialRecord(z.enum(SERVICES), z.string()),
  servers: z.array(serverState),
  /** Everything answered once. */
  ready: z.boolean(),
  /** Why the start was given up. */
  failure: z.string().nullable(),
  /** What became of the last request for an emulator; null where none was asked for. */
  emulator: wantedEmulator.extend({ failure: z.string().nullable() }).nullable(),
  startedAt: z.string(),
});
export type StackState = z.infer<typeof stackState>;

const dashboardEntry = z.object({ url: z.string(), process: processRef });
export type DashboardEntry = z.infer<typeof dashboardEntry>;

export function readState(stackDir: string): StackState | null {
  return readJsonFile(stackFiles(stackDir).state, stackState);
}

const owners = z.object({ supervisor: processRef, servers: z.array(z.object({ process: processRef })) });

/** The processes that a state file names, also one of another version that `readState` does not take. */
export function readOwners(stackDir: string): z.infer<typeof owners> | null {
  return readJsonFile(stackFiles(stackDir).state, owners);
}

export function removeState(stackDir: string): void {
  removeFile(stackFiles(stackDir).state);
}

export function readWantedEmulator(stackDir: string): WantedEmulator | null {
  return readJsonFile(stackFiles(stackDir).wantedEmulator, wantedEmulator);
}

export function readDashboard(stackDir: string): DashboardEntry | null {
  return readJsonFile(stackFiles(stackDir).dashboard, dashboardEntry);
}
