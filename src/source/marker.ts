/** The marker of a record that was treated in place: by which policy version, how, and when. So it is treated once. */
import { BsonType, fieldPath, findPath, textOf } from './bson-walk.ts';

/** The field that a treated record carries, in the first level. */
export const MARKER = '_moraine';

/** What a marker says: the version and the treatment that it was treated by, and when (ms). Null: no marker of ours. */
export interface Marker {
  readonly version: string;
  readonly treatment: string;
  readonly at: number;
}

export function markerOf(raw: Uint8Array): Marker | null {
  const [version, treatment, at] = MARKER_PATHS.map((path) => findPath(raw, path));
  if (version?.type !== BsonType.string || treatment?.type !== BsonType.string || at?.type !== BsonType.date)
    return null;
  return {
    version: textOf(raw, version.start + 4, version.end - 1),
    treatment: textOf(raw, treatment.start + 4, treatment.end - 1),
    at: Number(new DataView(raw.buffer, raw.byteOffset + at.start, 8).getBigInt64(0, true)),
  };
}

const MARKER_PATHS = ['treated', 'treatment', 'at'].map((field) => fieldPath(`${MARKER}.${field}`));
