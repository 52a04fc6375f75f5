import { run } from '../run.ts';

/** Another apt may be at work; it takes seconds, not minutes. */
const LOCK_SECONDS = 120;

export const APT_ENV = { DEBIAN_FRONTEND: 'noninteractive' };

/** apt takes one caller at a time, and steps run side by side. */
let lastInstall: Promise<void> = Promise.resolve();

/** Installs packages of this machine's own Debian. */
export function aptInstall(packages: readonly string[], log: string): Promise<void> {
  const install = () => installNow(packages, log);
  lastInstall = lastInstall.then(install, install);
  return lastInstall;
}

async function installNow(packages: readonly string[], log: string): Promise<void> {
  await run({ file: 'apt-get', args: ['update', '-q'], env: APT_ENV }, log);
  await run(
    {
      file: 'apt-get',
      args: [
        'install',
        '-y',
        '-q',
        '--no-install-recommends',
        '-o',
        `DPkg::Lock::Timeout=${LOCK_SECONDS}`,
        ...packages,
      ],
      env: APT_ENV,
    },
    log,
  );
}
