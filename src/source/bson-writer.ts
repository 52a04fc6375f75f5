/** Writes BSON around values that are already bytes, so that a value travels on exactly as the server sent it. */
import { BsonType, type BsonValue } from './bson-walk.ts';

const INITIAL_BYTES = 1024;

/** Builds one BSON document. Every `begin…` needs its `end`. */
export class BsonWriter {
  #bytes: Buffer;
  #length = 0;
  readonly #open: number[] = [];

  constructor(expectedBytes: number = INITIAL_BYTES) {
    this.#bytes = Buffer.allocUnsafe(Math.max(expectedBytes, INITIAL_BYTES));
    this.#beginLength();
  }

  /** A value given by its type byte and bytes. */
  value(name: string, type: number, bytes: Uint8Array): this {
    this.#header(name, type);
    this.#room(bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
    return this;
  }

  /** A field as it stands in another document: type byte, name and value. */
  raw(bytes: Uint8Array): this {
    this.#room(bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
    return this;
  }

  copy(name: string, found: BsonValue): this {
    return this.value(name, found.type, found.raw.subarray(found.start, found.end));
  }

  string(name: string, text: string): this {
    this.#header(name, BsonType.string);
    const size = Buffer.byteLength(text);
    this.#room(size + 5);
    this.#bytes.writeInt32LE(size + 1, this.#length);
    this.#bytes.write(text, this.#length + 4);
    this.#length += size + 5;
    this.#bytes[this.#length - 1] = 0;
    return this;
  }

  boolean(name: string, is: boolean): this {
    this.#header(name, BsonType.boolean);
    this.#room(1);
    this.#bytes[this.#length++] = is ? 1 : 0;
    return this;
  }

  int32(name: string, number: number): this {
    this.#header(name, BsonType.int32);
    this.#room(4);
    this.#length = this.#bytes.writeInt32LE(number, this.#length);
    return this;
  }

  date(name: string, instant: Date): this {
    this.#header(name, BsonType.date);
    this.#room(8);
    this.#length = this.#bytes.writeBigInt64LE(BigInt(instant.getTime()), this.#length);
    return this;
  }

  beginObject(name: string): this {
    this.#header(name, BsonType.object);
    this.#beginLength();
    return this;
  }

  beginArray(name: string): this {
    this.#header(name, BsonType.array);
    this.#beginLength();
    return this;
  }

  end(): this {
    this.#room(1);
    this.#bytes[this.#length++] = 0;
    const start = this.#open.pop()!;
    this.#bytes.writeInt32LE(this.#length - start, start);
    return this;
  }

  /** The finished document. */
  finish(): Uint8Array {
    this.end();
    return this.#bytes.subarray(0, this.#length);
  }

  #header(name: string, type: number): void {
    const nameBytes = Buffer.byteLength(name);
    this.#room(nameBytes + 2);
    this.#bytes[this.#length] = type;
    this.#bytes.write(name, this.#length + 1);
    this.#length += nameBytes + 2;
    this.#bytes[this.#length - 1] = 0;
  }

  #beginLength(): void {
    this.#room(4);
    this.#open.push(this.#length);
    this.#length += 4;
  }

  #room(bytes: number): void {
    if (this.#length + bytes <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafe(Math.max(this.#bytes.length * 2, this.#length + bytes));
    this.#bytes.copy(larger, 0, 0, this.#length);
    this.#bytes = larger;
  }
}
