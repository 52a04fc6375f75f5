/**
 * Other names for restored collections, as mongorestore's `--nsFrom` and `--nsTo` give them: `*` stands for any text and is
 * filled in order, `$name$` for any text and is filled by its name, `\` takes the meaning from the next character. The first
 * pair that fits a namespace names it; what none fits keeps its name.
 */
import { MoraineError } from '../errors.ts';
import { id, type Namespace } from '../ids.ts';

export type RenameNamespace = (namespace: Namespace) => Namespace;

/** Throws USAGE for pairs that do not match, and, when it is used, for a name that is none. */
export function renameNamespaces(from: readonly string[], to: readonly string[]): RenameNamespace {
  if (from.length !== to.length) {
    throw usage(`--nsFrom is given ${from.length} times and --nsTo ${to.length} times.`);
  }
  const pairs = from.map((pattern, at) => pairOf(pattern, to[at] ?? ''));
  return (namespace) => {
    for (const { pattern, fill } of pairs) {
      const match = pattern.exec(namespace);
      if (match === null) continue;
      const renamed = fill(match.groups ?? {});
      if (!IS_NAMESPACE.test(renamed))
        throw usage(`${namespace} would be restored as "${renamed}", which is no namespace.`);
      return id.namespace(renamed);
    }
    return namespace;
  };
}

/** Of a GridFS bucket, `database.bucket`: its two collections must stay together. Throws USAGE. */
export function renameBucket(rename: RenameNamespace, bucket: string): string {
  const [files, chunks] = ['.files', '.chunks'].map((part) => rename(id.namespace(`${bucket}${part}`)));
  const renamed = files?.replace(/\.files$/, '') ?? '';
  if (files === `${renamed}.files` && chunks === `${renamed}.chunks`) return renamed;
  throw usage(`The GridFS bucket ${bucket} would be restored as ${files} and ${chunks}, which are no bucket.`);
}

/** A database and a collection; neither empty. */
const IS_NAMESPACE = /^[^/\\. "$*<>:|?\0]{1,63}\.(?!system\.)[^$\0]+$/;

type Part = { readonly text: string } | { readonly variable: string };

function pairOf(from: string, to: string) {
  const [source, target] = [partsOf(from), partsOf(to)];
  const names = (parts: readonly Part[]) => parts.flatMap((part) => ('variable' in part ? [part.variable] : []));
  const known = names(source);
  if (new Set(known).size !== known.length) throw usage(`--nsFrom ${from} names the same variable twice.`);
  const stars = [source, target].map((parts) => names(parts).filter((name) => name.startsWith('star')).length);
  if (stars[0] !== stars[1]) throw usage(`--nsFrom ${from} and --nsTo ${to} have different numbers of *.`);
  const unknown = names(target).find((name) => !known.includes(name));
  if (unknown !== undefined) throw usage(`--nsTo ${to} has a variable that --nsFrom ${from} has not.`);
  const body = source.map((part) => ('text' in part ? escaped(part.text) : `(?<${part.variable}>.*?)`));
  return {
    pattern: new RegExp(`^${body.join('')}$`, 's'),
    fill: (found: Readonly<Record<string, string>>) =>
      target.map((part) => ('text' in part ? part.text : (found[part.variable] ?? ''))).join(''),
  };
}

function escaped(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}

function partsOf(pattern: string): readonly Part[] {
  const parts: Part[] = [];
  let stars = 0;
  for (const [token, plain, variable] of pattern.matchAll(/\\(.)|\$([A-Za-z0-9_]+)\$|\*|[^\\$*]+|[\\$]/gsu)) {
    if (plain !== undefined) parts.push({ text: plain });
    else if (variable !== undefined) parts.push({ variable: `name_${variable}` });
    else if (token === '*') parts.push({ variable: `star${stars++}` });
    else if (token === '$' || token === '\\') throw usage(`${pattern} ends within a variable or an escape.`);
    else parts.push({ text: token });
  }
  return parts;
}

function usage(text: string): MoraineError {
  return new MoraineError('USAGE', text, {
    hint: "Name both as mongorestore does, e.g. --nsFrom 'support.*' --nsTo 'restored.*'.",
  });
}
