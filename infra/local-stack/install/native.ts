import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { MoraineError } from '../../../src/errors.ts';
import { withLock } from '../lock.ts';
import { cacheDir } from '../places.ts';
import type { Progress, ServiceName } from '../services.ts';
import { documentdb } from './documentdb.ts';
import { ferretdb } from './ferretdb.ts';
import { localstack } from './localstack.ts';
import { redis } from './redis.ts';
import { ensureStep, isComplete, type Step } from './step.ts';

const STEPS: Record<ServiceName, readonly Step[]> = {
  mongodb: [documentdb, ferretdb],
  redis: [redis],
  s3: [localstack],
  glacier: [],
};

/** Says why the native way is closed to these services on this machine, or null when it is open. */
export function nativeObstacle(services: readonly ServiceName[]): string | null {
  const missing = missingSteps(services);
  if (missing.length === 0 && !services.includes('mongodb')) return null;
  if (process.platform !== 'linux') return 'native servers need Linux';
  if (services.includes('mongodb') && process.getuid?.() !== 0) return 'native servers need root (for a chroot)';
  if (missing.length > 0 && !existsSync('/etc/debian_version'))
    return 'native servers are installed from Debian packages';
  return null;
}

/** Makes the programs that are missing, side by side, once for all checkouts of this user. */
export async function installNative(services: readonly ServiceName[], progress: Progress): Promise<void> {
  if (missingSteps(services).length === 0) return;
  const onWait = () => progress('Another process is setting up the local stack: waiting for it');
  await withLock(join(cacheDir(), 'programs.lock'), onWait, async () => {
    const missing = missingSteps(services);
    if (missing.length === 0) return;
    progress(`Setting up the local stack in ${cacheDir()} (once; two to four minutes on two cores)`);
    const results = await Promise.allSettled(missing.map((step) => ensureStep(step, progress)));
    const failures = results.flatMap((result) => (result.status === 'rejected' ? [result.reason] : []));
    // Each failure names its log; the first is the cause that is thrown, the rest would only hide it.
    const [first] = failures;
    if (first instanceof MoraineError) throw first;
    if (first !== undefined)
      throw new MoraineError('STACK_FAILED', 'The local stack was not set up.', { cause: first });
  });
}

function missingSteps(services: readonly ServiceName[]): Step[] {
  return services.flatMap((service) => STEPS[service]).filter((step) => !isComplete(step));
}
