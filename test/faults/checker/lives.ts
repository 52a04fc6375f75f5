/**
 * The lives of each id, from the application's journal alone. A life begins with an insert that was acknowledged and
 * ends when the application deletes the record, or when Moraine takes it: then the application is told, by a replace or
 * delete that finds nothing, or by an insert of the same id that succeeds, or it is missing at the end.
 */
import type { Version, Write } from '../journal.ts';

export interface Life {
  readonly namespace: string;
  readonly id: number;
  /** What it may have been when it ended: more than one only when a reply was lost. */
  readonly versions: readonly Version[];
  /** When the application knew at the latest that it was over (ms). */
  readonly knownAt: number;
}

export interface Lives {
  /** Ended, and not by the application: each must be in an archive, or have a certificate. */
  readonly taken: readonly Life[];
  /** Ended by the application, or perhaps so: Moraine may hold a copy. */
  readonly endedByApplication: readonly Life[];
  /** May or may not have been taken: a reply was lost. */
  readonly unsure: readonly Life[];
  /** What contradicts the journal: `<namespace> <id>: what`. */
  readonly contradictions: readonly string[];
}

interface Present {
  readonly namespace: string;
  readonly id: number;
  readonly sha256: string;
}

/** @param presentAtEnd What the source holds at the end. */
export function livesOf(writes: readonly Write[], presentAtEnd: readonly Present[], at: number): Lives {
  const byId = new Map<string, Write[]>();
  for (const write of writes) {
    const name = nameOf(write);
    byId.set(name, [...(byId.get(name) ?? []), write]);
  }
  const present = new Map(presentAtEnd.map((record) => [nameOf(record), record]));
  const found = {
    taken: [] as Life[],
    endedByApplication: [] as Life[],
    unsure: [] as Life[],
    contradictions: [] as string[],
  };
  for (const [name, ofId] of byId) followOne(name, ofId, present.get(name), at, found);
  for (const name of present.keys()) {
    if (!byId.has(name)) found.contradictions.push(`${name}: it is in the source and nobody wrote it`);
  }
  return found;
}

function followOne(
  name: string,
  writes: readonly Write[],
  atEnd: Present | undefined,
  at: number,
  found: { taken: Life[]; endedByApplication: Life[]; unsure: Life[]; contradictions: string[] },
): void {
  const first = writes[0];
  if (first === undefined) return;
  const { namespace, id } = first;
  /** What the source may hold, if Moraine took nothing. Empty: nothing for sure. */
  let versions: readonly Version[] = [];
  let mayBeAbsent = true;
  const end = (kind: Life[], knownAt: number) => kind.push({ namespace, id, versions, knownAt });
  const nothing = () => {
    versions = [];
    mayBeAbsent = true;
  };
  for (const { act, version, outcome, endedAt } of writes) {
    if (outcome === 'unknown') {
      if (act === 'delete') {
        mayBeAbsent = true;
        if (versions.length > 0) end(found.endedByApplication, endedAt);
      } else if (version !== null && (act === 'insert' || versions.length > 0)) {
        // An insert that may have succeeded may stand for a life that was taken before it.
        if (act === 'insert' && versions.length > 0) end(found.unsure, endedAt);
        versions = [...versions, version];
      }
      continue;
    }
    const wasThere = outcome === 'done' ? act !== 'insert' : act === 'insert';
    if (wasThere && versions.length === 0) {
      found.contradictions.push(`${name}: it came back; ${act} found it after it was gone`);
    }
    if (!wasThere && versions.length > 0 && !mayBeAbsent) {
      end(found.taken, endedAt);
      nothing();
    }
    if (outcome === 'refused') continue;
    if (act === 'delete') {
      end(found.endedByApplication, endedAt);
      nothing();
    } else if (version !== null) {
      versions = [version];
      mayBeAbsent = false;
    }
  }
  if (atEnd === undefined) {
    if (versions.length > 0) end(mayBeAbsent ? found.unsure : found.taken, at);
  } else if (!versions.some(({ sha256 }) => sha256 === atEnd.sha256)) {
    const what =
      versions.length === 0
        ? 'it came back: it is in the source after it was gone'
        : 'it has other bytes than were written last';
    found.contradictions.push(`${name}: ${what}`);
  }
}

function nameOf({ namespace, id }: { readonly namespace: string; readonly id: number }): string {
  return `${namespace} ${id}`;
}
