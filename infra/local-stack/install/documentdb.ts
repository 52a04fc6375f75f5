import { existsSync } from 'node:fs';
import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { output, run } from '../run.ts';
import { APT_ENV, aptInstall } from './apt.ts';
import { inChroot } from './chroot.ts';
import { type Step, stepDir } from './step.ts';

const SUITE = 'forky';
const PACKAGE = 'postgresql-18-documentdb';

/** What debootstrap takes when nobody says otherwise. */
const DEFAULT_MIRROR = 'http://deb.debian.org/debian';

const QUERY_MS = 10_000;

/** Files that tell the tree's apt how this machine reaches the network: name service, certificates, credentials. */
const NETWORK_FILES = ['/etc/resolv.conf', '/etc/hosts', '/etc/ssl/certs/ca-certificates.crt', '/etc/apt/auth.conf'];

/** The settings of this machine's apt that are about reaching servers; the rest belongs to its own packages. */
const NETWORK_SETTINGS = /^Acquire::(http|https|ftp|Retries|Check-|ForceIPv|Languages|By-Hash)/i;

/**
 * PostgreSQL 18 with Microsoft's DocumentDB extension in a Debian tree of its own: the one MongoDB-compatible database
 * that comes from a package archive alone.
 */
export const documentdb: Step = {
  name: 'documentdb',
  title: `PostgreSQL with DocumentDB (Debian ${SUITE} in a directory of its own, 733 MB)`,
  usually: 'about a minute and a half',
  recipe: `${SUITE} minbase ${PACKAGE} 1`,
  async make(directory, log) {
    if (!existsSync('/usr/sbin/debootstrap')) await aptInstall(['debootstrap'], log);
    const root = join(directory, 'root');
    const script = `/usr/share/debootstrap/scripts/sid`;
    const bootstrap = ['--variant=minbase', SUITE, root, await debianMirror(), script];
    // A namespace of its own here too: debootstrap mounts /proc in the tree and leaves it when it is killed.
    await run({ file: 'unshare', args: ['--mount', 'debootstrap', ...bootstrap], env: APT_ENV }, log);
    await bringNetworkSettings(root);
    // No cluster of the package's own, and no flushes to disk for a tree that is made again when it is cut.
    await writeInto(root, '/etc/postgresql-common/createcluster.conf', 'create_main_cluster = false\n');
    await writeInto(root, '/etc/dpkg/dpkg.cfg.d/unsafe-io', 'force-unsafe-io\n');
    const install = `apt-get update -q && apt-get install -y -q --no-install-recommends ${PACKAGE} && apt-get clean`;
    await run(inChroot(root, { file: 'sh', args: ['-c', install], env: APT_ENV }), log);
  },
};

export function documentdbRoot(): string {
  return join(stepDir(documentdb), 'root');
}

/** The archive that this machine's own packages come from. */
async function debianMirror(): Promise<string> {
  const listed = await output(
    'apt-get',
    ['indextargets', '--format', '$(LABEL) $(REPO_URI)', 'Created-By: Packages'],
    QUERY_MS,
  );
  const own = listed?.split('\n').find((line) => line.startsWith('Debian '));
  return own?.slice('Debian '.length).trim() || DEFAULT_MIRROR;
}

async function bringNetworkSettings(root: string): Promise<void> {
  for (const file of NETWORK_FILES) {
    if (!existsSync(file)) continue;
    await mkdir(dirname(join(root, file)), { recursive: true });
    await copyFile(file, join(root, file));
  }
  const settings = (await output('apt-config', ['dump', '--no-empty', 'Acquire'], QUERY_MS)) ?? '';
  const kept = settings.split('\n').filter((line) => NETWORK_SETTINGS.test(line));
  await writeInto(root, '/etc/apt/apt.conf.d/00network', `${kept.join('\n')}\n`);
}

async function writeInto(root: string, path: string, text: string): Promise<void> {
  await mkdir(dirname(join(root, path)), { recursive: true });
  await writeFile(join(root, path), text);
}
