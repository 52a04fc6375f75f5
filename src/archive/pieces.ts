/** A stream of bytes cut into pieces of one size; the last is shorter, and of no bytes there is one empty piece. */
export async function* piecesOf(bytes: AsyncIterable<Uint8Array>, pieceBytes: number): AsyncGenerator<Uint8Array> {
  let piece: Uint8Array = new Uint8Array(0);
  let filled = 0;
  let isFirst = true;
  for await (const chunk of bytes) {
    let at = 0;
    while (at < chunk.byteLength) {
      if (filled === piece.byteLength) {
        if (filled === pieceBytes) {
          yield piece;
          isFirst = false;
          piece = new Uint8Array(0);
          filled = 0;
        }
        piece = larger(piece, Math.min(pieceBytes, Math.max(FIRST_BYTES, 4 * filled)));
      }
      const taken = Math.min(chunk.byteLength - at, piece.byteLength - filled);
      piece.set(chunk.subarray(at, at + taken), filled);
      filled += taken;
      at += taken;
    }
  }
  if (filled > 0 || isFirst) yield piece.subarray(0, filled);
}

/** Most files are far smaller than a piece. */
const FIRST_BYTES = 64 * 1024;

function larger(piece: Uint8Array, bytes: number): Uint8Array {
  const grown = Buffer.allocUnsafeSlow(bytes);
  grown.set(piece);
  return grown;
}
