/**
 * Treats a record in place: named fields are removed, overwritten or replaced by pseudonyms, and a marker says by which
 * policy version and when. Works on the bytes that the server sent: what no treatment names keeps its bytes, its place
 * and its order. Pure.
 *
 * The result is a function of the bytes, the treatment and the pseudonym key alone, so that a worker that comes back after
 * a crash can tell what an earlier one wrote. Treating what was treated changes nothing but the marker: a removed field
 * stays away, an overwritten one is overwritten with the same, and a pseudonym is recognised by its check code and kept.
 */
import { BsonType, readInt32, textOf, valueSize } from './bson-walk.ts';
import { BsonWriter } from './bson-writer.ts';
import { keyOf } from './id-key.ts';
import { MARKER, markerOf } from './marker.ts';
import type { FieldTreatment, Treatment } from './port.ts';
import { normalFacet, typedBytes } from './raw-document.ts';

/** What a redacted text says. */
export const REDACTED = '[redacted]';
/** How a pseudonym begins, so that a reader knows one. */
export const PSEUDONYM_PREFIX = 'pseudonym:';

/** 128 bits: two values of one owner never share a pseudonym by chance. */
const CODE_BYTES = 16;
/** 32 bits that only the key's holder can write: a text that somebody typed is not taken for a pseudonym. */
const CHECK_BYTES = 4;

/** What stands at a step of the named paths: a treatment, or further steps. The shorter path wins. */
interface Step {
  readonly name: string;
  how: FieldTreatment['how'] | null;
  readonly steps: Map<string, Step>;
}

/** The treated document, or null when it cannot be treated: its bytes do not add up, or another hand's value is in the marker's place. */
export function treatDocument(raw: Uint8Array, treatment: Treatment): Uint8Array | null {
  try {
    return new Treating(treatment).document(raw);
  } catch (error) {
    if (error instanceof RangeError) return null;
    throw error;
  }
}

class Treating {
  readonly #treatment: Treatment;
  readonly #root: Step = { name: '', how: null, steps: new Map() };

  constructor(treatment: Treatment) {
    this.#treatment = treatment;
    for (const { field, how } of treatment.fields) {
      let step = this.#root;
      for (const name of field.split('.')) {
        const next: Step = step.steps.get(name) ?? { name, how: null, steps: new Map() };
        step.steps.set(name, next);
        step = next;
      }
      step.how = how;
    }
  }

  document(raw: Uint8Array): Uint8Array {
    if (readInt32(raw, 0) !== raw.length) throw new RangeError('The bytes are not one document.');
    const writer = new BsonWriter(raw.length + 256);
    let isMarked = false;
    for (const field of fieldsOf(raw, 0)) {
      if (field.name !== MARKER) {
        this.#field(writer, field, this.#root.steps.get(field.name));
        continue;
      }
      // An application may have put something of its own here: that is not ours to overwrite.
      if (isMarked || markerOf(raw) === null) throw new RangeError(`${MARKER} holds something else.`);
      this.#mark(writer);
      isMarked = true;
    }
    if (!isMarked) this.#mark(writer);
    return Uint8Array.prototype.slice.call(writer.finish());
  }

  #mark(writer: BsonWriter): void {
    const { version, id, at } = this.#treatment;
    writer.beginObject(MARKER).string('treated', version).string('treatment', id).date('at', at).end();
  }

  #field(writer: BsonWriter, field: Field, step: Step | undefined): void {
    if (step === undefined) {
      writer.raw(field.raw.subarray(field.from, field.end));
    } else if (step.how !== null) {
      if (step.how !== 'anonymise') this.#value(writer, field, step.how);
    } else if (field.type === BsonType.object) {
      writer.beginObject(field.name);
      for (const inner of fieldsOf(field.raw, field.start)) this.#field(writer, inner, step.steps.get(inner.name));
      writer.end();
    } else if (field.type === BsonType.array) {
      this.#elements(writer, field, step);
    } else {
      writer.raw(field.raw.subarray(field.from, field.end));
    }
  }

  /** Every element of an array on the way counts, at any depth; a number in the path names one, as in a query. */
  #elements(writer: BsonWriter, array: Field, step: Step): void {
    writer.beginArray(array.name);
    for (const element of fieldsOf(array.raw, array.start)) {
      const named = step.steps.get(element.name);
      if (named?.how === 'anonymise') {
        // Its place stays, or the elements behind it would move to other names.
        writer.value(element.name, BsonType.null, NOTHING);
      } else if (named !== undefined) {
        this.#field(writer, element, { ...named, steps: new Map([...step.steps, ...named.steps]) });
      } else {
        this.#field(writer, element, step);
      }
    }
    writer.end();
  }

  #value(writer: BsonWriter, field: Field, how: 'redact' | 'pseudonymise'): void {
    if (how === 'redact') {
      redact(writer, field);
    } else if (field.type === BsonType.array) {
      writer.beginArray(field.name);
      for (const element of fieldsOf(field.raw, field.start)) this.#value(writer, element, how);
      writer.end();
    } else {
      const text = this.#pseudonymOf(field);
      if (text === null) writer.raw(field.raw.subarray(field.from, field.end));
      else writer.string(field.name, text);
    }
  }

  /** Null: it names nobody (null, an empty text), or is a pseudonym already. */
  #pseudonymOf(field: Field): string | null {
    if (field.type === BsonType.null || field.type === BsonType.undefined) return null;
    if (field.type !== BsonType.string) return this.#pseudonym(JSON.stringify(['value', keyOf(typedBytes(field))]));
    const text = textOf(field.raw, field.start + 4, field.end - 1);
    const normal = normalFacet(text);
    if (normal === '' || this.#isPseudonym(text)) return null;
    return this.#pseudonym(JSON.stringify(['text', normal]));
  }

  #pseudonym(value: string): string {
    const code = Buffer.from(this.#treatment.hmac(value)).subarray(0, CODE_BYTES);
    return PSEUDONYM_PREFIX + Buffer.concat([code, this.#check(code)]).toString('base64url');
  }

  #isPseudonym(text: string): boolean {
    if (!text.startsWith(PSEUDONYM_PREFIX)) return false;
    const bytes = Buffer.from(text.slice(PSEUDONYM_PREFIX.length), 'base64url');
    const isWhole =
      bytes.length === CODE_BYTES + CHECK_BYTES && PSEUDONYM_PREFIX + bytes.toString('base64url') === text;
    return isWhole && this.#check(bytes.subarray(0, CODE_BYTES)).equals(bytes.subarray(CODE_BYTES));
  }

  #check(code: Buffer): Buffer {
    return Buffer.from(this.#treatment.hmac(JSON.stringify(['check', code.toString('base64url')]))).subarray(
      0,
      CHECK_BYTES,
    );
  }
}

/** A value with its header: `from` is the type byte, `start` the value's first byte. */
interface Field {
  readonly raw: Uint8Array;
  readonly name: string;
  readonly type: number;
  readonly from: number;
  readonly start: number;
  readonly end: number;
}

/** Unlike `eachField` it never stops early: what it does not understand is no document, and nothing of it may be lost. */
function* fieldsOf(raw: Uint8Array, documentStart: number): Generator<Field> {
  const last = documentStart + readInt32(raw, documentStart) - 1;
  let from = documentStart + 4;
  while (from < last) {
    const type = raw[from] ?? 0;
    const nameEnd = raw.indexOf(0, from + 1);
    const start = nameEnd + 1;
    const size = nameEnd < 0 || nameEnd >= last ? -1 : valueSize(raw, type, start, last);
    if (size < 0) throw new RangeError('A value does not fit into its document.');
    yield { raw, name: textOf(raw, from + 1, nameEnd), type, from, start, end: start + size };
    from = start + size;
  }
  if (from !== last || raw[last] !== 0) throw new RangeError('The document is not closed.');
}

const NOTHING = new Uint8Array(0);
/** Types of a fixed size whose zero bytes are a value: 0, false, 1970, an ObjectId and a timestamp of zeros. */
const ZEROS: Readonly<Record<number, number>> = {
  [BsonType.double]: 8,
  [BsonType.int32]: 4,
  [BsonType.int64]: 8,
  [BsonType.date]: 8,
  [BsonType.timestamp]: 8,
  [BsonType.objectId]: 12,
  [BsonType.boolean]: 1,
};
const DECIMAL_ZERO = Uint8Array.from([...new Array<number>(14).fill(0), 0x40, 0x30]);
const UUID_SUBTYPE = 4;
const UUID_BYTES = 16;

/** A fixed value of the same type, so that a schema that asks for the type still holds; of a list or document the empty one. */
function redact(writer: BsonWriter, { raw, name, type, start }: Field): void {
  const zeros = ZEROS[type];
  if (zeros !== undefined) {
    writer.value(name, type, new Uint8Array(zeros));
    return;
  }
  switch (type) {
    case BsonType.null:
    case BsonType.undefined:
      writer.value(name, type, NOTHING);
      return;
    case BsonType.decimal128:
      writer.value(name, type, DECIMAL_ZERO);
      return;
    case BsonType.object:
      writer.beginObject(name).end();
      return;
    case BsonType.array:
      writer.beginArray(name).end();
      return;
    case BsonType.binary: {
      const subtype = raw[start + 4] ?? 0;
      const size = subtype === UUID_SUBTYPE ? UUID_BYTES : 0;
      writer.value(name, type, Uint8Array.from([size, 0, 0, 0, subtype, ...new Uint8Array(size)]));
      return;
    }
    default:
      // Text, and what has no harmless value of its own: a regular expression, code, a symbol.
      writer.string(name, REDACTED);
  }
}
