/**
 * Runs the outside clients, each against an emulator of its own so that they can move its clock, side by side. What they
 * claim is held against the emulator's own count of answers: an operation that it never answered well is not proven.
 */
import { join } from 'node:path';
import { execa } from 'execa';
import { z } from 'zod';
import { operations } from '../../infra/glacier-emulator/operations.ts';
import { EmulatorProcess } from '../integration/glacier-emulator-process.ts';
import { withCli } from './clients/with-cli.ts';
import { withSdk } from './clients/with-sdk.ts';
import { pythonClients, pythonWithBoto2 } from './environment.ts';
import { type ClientWorld, type Proof, proofSchema } from './proof.ts';

/** A client that hangs fails its proofs: much longer than any of them takes on a busy machine. */
const CLIENT_MS = 120_000;

export interface ClientReport {
  readonly client: string;
  readonly proofs: readonly Proof[];
  /** Why the client could not be run here; null when it was. */
  readonly missing: string | null;
}

const callsSchema = z.object({ calls: z.record(z.string(), z.record(z.string(), z.number())) });

export const OPERATIONS: readonly string[] = operations.map(({ name }) => name);

export async function runClients(snsEndpoint: string): Promise<ClientReport[]> {
  const [{ python, aws }, boto2] = await Promise.all([pythonClients(), pythonWithBoto2()]);
  const inPython = (program: string, by: string) => (world: ClientWorld) => runPython(by, program, world);
  return Promise.all([
    report('SDK for JavaScript', snsEndpoint, withSdk),
    report('boto3', snsEndpoint, inPython('with_boto3.py', python)),
    report('AWS CLI', snsEndpoint, (world) => withCli(world, aws)),
    'missing' in boto2
      ? { client: 'boto 2.49', proofs: [], missing: boto2.missing }
      : report('boto 2.49', snsEndpoint, inPython('with_boto2.py', boto2.python)),
  ]);
}

async function report(
  client: string,
  snsEndpoint: string,
  prove: (world: ClientWorld) => Promise<Proof[]>,
): Promise<ClientReport> {
  const emulator = await EmulatorProcess.start('--linger-seconds', '0', '--sns-endpoint', snsEndpoint);
  try {
    const { endpoint } = emulator;
    const proofs = await prove({ endpoint, snsEndpoint, advance: (duration) => emulator.advance(duration) });
    const { calls } = callsSchema.parse((await emulator.control('GET', 'calls')).body);
    return { client, proofs: proofs.map((proof) => checked(proof, calls)), missing: null };
  } finally {
    await emulator.stop();
  }
}

/** A proof of something that the service does not have, or that the emulator never answered, has failed. */
function checked(proof: Proof, calls: Readonly<Record<string, Readonly<Record<string, number>>>>): Proof {
  const unanswered = proof.operations.filter(
    (operation) => !Object.keys(calls[operation] ?? {}).some((status) => status.startsWith('2')),
  );
  const unknown = proof.operations.filter((operation) => !OPERATIONS.includes(operation));
  if (proof.error !== null || (unanswered.length === 0 && unknown.length === 0)) return proof;
  return { ...proof, error: `claimed, but never answered: ${[...new Set([...unanswered, ...unknown])].join(', ')}` };
}

async function runPython(python: string, program: string, world: ClientWorld): Promise<Proof[]> {
  const args = [join(import.meta.dirname, 'clients', program), world.endpoint, world.snsEndpoint];
  const env = { PYTHONDONTWRITEBYTECODE: '1', AWS_CONFIG_FILE: '/dev/null', AWS_SHARED_CREDENTIALS_FILE: '/dev/null' };
  const { stdout, stderr, exitCode } = await execa(python, args, { reject: false, timeout: CLIENT_MS, env });
  const proofs = stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => proofSchema.parse(JSON.parse(line)));
  if (exitCode === 0) return proofs;
  return [...proofs, { what: `${program} to its end`, operations: [], error: `it ended with ${exitCode}: ${stderr}` }];
}
