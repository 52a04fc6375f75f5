import type { Command } from '../run.ts';

/**
 * A command inside a Debian tree. The mounts are in a namespace of their own: they go with the process, and nothing of
 * them is left in the tree for a later `rm` to walk into. The chain of `exec` keeps the pid: the process that is
 * spawned IS the command.
 */
export function inChroot(
  root: string,
  command: Command,
  options: { user?: string; binds?: Readonly<Record<string, string>> } = {},
): Command {
  const binds = Object.entries(options.binds ?? {}).flat();
  const script = [
    'root=$1; user=$2; binds=$3; shift 3',
    'mount --rbind /dev "$root/dev"',
    'mount -t proc proc "$root/proc"',
    'while [ "$binds" -gt 0 ]; do mkdir -p "$root$1"; mount --bind "$2" "$root$1"; shift 2; binds=$((binds - 1)); done',
    'exec chroot --userspec="$user" "$root" "$@"',
  ].join('\n');
  const user = options.user ?? 'root:root';
  const scriptArgs = [root, user, String(binds.length / 2), ...binds, command.file, ...command.args];
  return {
    file: 'unshare',
    args: ['--mount', 'sh', '-euc', script, 'sh', ...scriptArgs],
    env: { LC_ALL: 'C.UTF-8', ...command.env },
    cwd: '/',
  };
}
