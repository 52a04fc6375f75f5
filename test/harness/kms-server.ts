/**
 * KMS of LocalStack, a process of its own for one test file: the shared stack does without it. It refuses what the real
 * service refuses (another context, a disabled key, one that is to be deleted), which moto does not. On Python before
 * 3.12 its CreateKey fails for want of a uuid5 that takes bytes; `test/python/localstack-kms` gives it one.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { localstack, localstackPython } from '../../infra/local-stack/install/localstack.ts';
import { ensureStep } from '../../infra/local-stack/install/step.ts';
import { httpAnswers } from '../../infra/local-stack/probes.ts';

/** The first time LocalStack is installed; after that it is up in some ten seconds. */
export const KMS_SETUP_MS = 400_000;
const READY_WITHIN_MS = 90_000;
const LOOK_EVERY_MS = 250;
const SHIM = join(import.meta.dirname, '..', 'python', 'localstack-kms');

export interface KmsServer {
  readonly endpoint: string;
  close(): Promise<void>;
}

/** `services`: others of LocalStack, in the same process. */
export async function startKms(services = 'kms'): Promise<KmsServer> {
  await ensureStep(localstack, () => undefined);
  const directory = await mkdtemp(join(tmpdir(), 'moraine-kms-'));
  const port = await freePort();
  const process_ = spawn(localstackPython(), ['-m', 'localstack.runtime.main'], {
    cwd: directory,
    stdio: 'ignore',
    env: {
      PATH: process.env['PATH'],
      HOME: directory,
      PYTHONPATH: SHIM,
      GATEWAY_LISTEN: `127.0.0.1:${port}`,
      SERVICES: services,
      DISABLE_EVENTS: '1',
      SKIP_SSL_CERT_DOWNLOAD: '1',
      FILESYSTEM_ROOT: directory,
      XDG_CACHE_HOME: join(directory, 'cache'),
    },
  });
  const endpoint = `http://127.0.0.1:${port}`;
  const close = async () => {
    await ended(process_);
    await rm(directory, { recursive: true, force: true });
  };
  const giveUpAt = Date.now() + READY_WITHIN_MS;
  while (!(await httpAnswers(`${endpoint}/_localstack/health`))) {
    if (Date.now() > giveUpAt || process_.exitCode !== null) {
      await close();
      throw new Error('KMS of LocalStack does not answer.');
    }
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
  }
  return { endpoint, close };
}

async function ended(process_: ChildProcess): Promise<void> {
  if (process_.exitCode !== null || process_.signalCode !== null) return;
  const gone = new Promise((resolve) => process_.once('exit', resolve));
  // Its state is in memory: there is nothing to be ended in order.
  process_.kill('SIGKILL');
  await gone;
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}
