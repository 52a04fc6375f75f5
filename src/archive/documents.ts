/**
 * BSON documents as bytes: where one ends, and a document written around a value that stays as it came. Nothing is
 * decoded here, because BSON does not survive a round trip through JavaScript values.
 */

/** Length field (4) and closing zero (1): the empty document. */
const EMPTY_DOCUMENT_BYTES = 5;

/**
 * The documents that stand one after the other in `plain`, as views on it. Throws RangeError, naming the offset, where
 * a length does not fit or a document is not closed.
 */
export function* splitDocuments(plain: Uint8Array): Generator<Uint8Array> {
  const view = new DataView(plain.buffer, plain.byteOffset, plain.byteLength);
  let offset = 0;
  while (offset < plain.byteLength) {
    const left = plain.byteLength - offset;
    const length = left < EMPTY_DOCUMENT_BYTES ? 0 : view.getInt32(offset, true);
    if (length < EMPTY_DOCUMENT_BYTES || length > left || plain[offset + length - 1] !== 0) {
      throw new RangeError(`no BSON document at byte ${offset} of ${plain.byteLength}`);
    }
    yield plain.subarray(offset, offset + length);
    offset += length;
  }
}

/** Whether `raw` is exactly one document by its length field and closing zero. */
export function isOneDocument(raw: Uint8Array): boolean {
  if (raw.byteLength < EMPTY_DOCUMENT_BYTES) return false;
  const length = new DataView(raw.buffer, raw.byteOffset, 4).getInt32(0, true);
  return length === raw.byteLength && raw[length - 1] === 0;
}
