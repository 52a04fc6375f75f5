/** What a file that hangs on a record was, and where it lay: as its store tells it, and as an archive keeps it. */

/** What is known of a file before its first byte is read. */
export type AttachmentFacts =
  | {
      readonly kind: 's3';
      /** The name of the store in moraine.yaml. */
      readonly store: string;
      readonly bucket: string;
      readonly key: string;
      /** Null in a bucket without versions. */
      readonly version: string | null;
      /** A BSON document: content type, the object's own metadata. */
      readonly about: Uint8Array;
    }
  | {
      readonly kind: 'gridfs';
      /** `database.bucket` */
      readonly bucket: string;
      /** Type byte and value bytes of the file's `_id`. */
      readonly key: Uint8Array;
      /** Its document in `<bucket>.files`, as it was. */
      readonly about: Uint8Array;
    };
