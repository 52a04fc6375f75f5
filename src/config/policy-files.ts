/** Finds the policy files that moraine.yaml names. Their content is read here and understood in `src/policy`. */
import { globSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import type { PolicyFile } from '../policy/load.ts';
import type { YamlProblem, YamlSource } from '../yaml-problems.ts';

/**
 * Names and globs are relative to moraine.yaml. Each file comes once, in the order of names. An entry that matches
 * nothing is a problem: a daemon whose policies are not found would do nothing and say nothing.
 */
export function findPolicyFiles(
  source: YamlSource,
  entries: readonly string[],
): { readonly files: readonly PolicyFile[]; readonly problems: readonly YamlProblem[] } {
  const directory = dirname(source.file);
  const found = new Map<string, PolicyFile>();
  const problems: YamlProblem[] = [];
  for (const [at, entry] of entries.entries()) {
    const names = globSync(entry, { cwd: directory })
      .map((name) => (resolve(name) === name ? name : join(directory, name)))
      .filter((name) => resolve(name) !== resolve(source.file) && statSync(name).isFile());
    if (names.length === 0) {
      problems.push({
        ...source.problemAt(['policies', at], 'at least one policy file of that name'),
        found: `no file that matches ${JSON.stringify(entry)}`,
      });
    }
    for (const file of names) found.set(resolve(file), { file, text: readFileSync(file, 'utf8') });
  }
  const files = [...found.values()].sort((a, b) => (a.file < b.file ? -1 : 1));
  return { files, problems };
}
