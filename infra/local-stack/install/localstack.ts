import { join } from 'node:path';
import { output, run } from '../run.ts';
import { type Step, stepDir } from './step.ts';

const UV = 'uv==0.13.9';
const PACKAGE = 'localstack-core[runtime]==4.13.1';

/** Dependencies released after this day break that version. */
const DEPENDENCIES_UNTIL = '2026-02-25';

const QUERY_MS = 20_000;

/** LocalStack in a Python environment of its own. 4.13 is the last that runs on Debian 12's Python 3.11. */
export const localstack: Step = {
  name: 'localstack',
  title: 'LocalStack 4.13 (uv pip install)',
  usually: 'about twenty seconds',
  recipe: `${UV} ${PACKAGE} until ${DEPENDENCIES_UNTIL}`,
  async make(directory, log) {
    const uvDir = join(directory, 'uv');
    const uv = join(uvDir, 'bin', 'uv');
    const environment = join(directory, 'environment');
    await run(
      { file: 'python3', args: ['-m', 'pip', 'install', '--quiet', '--target', uvDir, UV], cwd: directory },
      log,
    );
    const env = await indexSettings();
    await run({ file: uv, args: ['venv', '--quiet', '--python', 'python3', environment], env }, log);
    await run(
      {
        file: uv,
        args: ['pip', 'install', '--quiet', '--exclude-newer', DEPENDENCIES_UNTIL, PACKAGE],
        env: { ...env, VIRTUAL_ENV: environment, UV_CACHE_DIR: join(directory, 'uv-cache') },
      },
      log,
    );
    await run({ file: 'rm', args: ['-rf', join(directory, 'uv-cache')] }, log);
  },
};

export function localstackPython(): string {
  return join(stepDir(localstack), 'environment', 'bin', 'python');
}

/** uv reads no pip.conf: an index that this machine's pip is set to use is passed on. */
async function indexSettings(): Promise<Record<string, string>> {
  const index = (await output('python3', ['-m', 'pip', 'config', 'get', 'global.index-url'], QUERY_MS))?.trim();
  const configured = process.env['PIP_INDEX_URL'] ?? index;
  return configured ? { UV_DEFAULT_INDEX: configured, UV_NATIVE_TLS: 'true' } : { UV_NATIVE_TLS: 'true' };
}
