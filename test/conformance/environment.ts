/** The outside clients: installed once, outside the checkout. */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { aptInstall } from '../../infra/local-stack/install/apt.ts';
import { withLock } from '../../infra/local-stack/lock.ts';
import { cacheDir } from '../../infra/local-stack/places.ts';
import { output } from '../../infra/local-stack/run.ts';
import { pythonEnvironment } from '../python/environment.ts';

const REQUIREMENTS = join(import.meta.dirname, 'requirements.txt');
const QUERY_MS = 20_000;

/** The distribution's own Python, for which Debian packages boto 2. Another Python on the path does not see it. */
const SYSTEM_PYTHON = '/usr/bin/python3';

export interface PythonClients {
  /** A Python with boto3. */
  readonly python: string;
  /** The AWS CLI. */
  readonly aws: string;
}

export async function pythonClients(): Promise<PythonClients> {
  const python = await pythonEnvironment('conformance', 'boto3 and the AWS CLI', REQUIREMENTS);
  return { python, aws: join(dirname(python), 'aws') };
}

/** Debian's Python with Debian's boto 2.49, or why there is none: it is a package of Debian's, and needs root to install. */
export async function pythonWithBoto2(): Promise<{ python: string } | { missing: string }> {
  if (await hasBoto2()) return { python: SYSTEM_PYTHON };
  if (!existsSync('/etc/debian_version')) return { missing: 'python3-boto is a package of Debian' };
  if (process.getuid?.() !== 0) return { missing: 'installing python3-boto needs root' };
  const folder = join(cacheDir(), 'python');
  await withLock(
    join(folder, 'boto2.lock'),
    () => undefined,
    async () => {
      if (await hasBoto2()) return;
      console.log('Installing python3-boto (once)');
      await aptInstall(['python3-boto'], join(folder, 'boto2.log'));
    },
  );
  return (await hasBoto2()) ? { python: SYSTEM_PYTHON } : { missing: 'python3-boto does not run on this Python' };
}

async function hasBoto2(): Promise<boolean> {
  return (await output(SYSTEM_PYTHON, ['-c', 'import boto.glacier.layer2'], QUERY_MS)) !== null;
}
