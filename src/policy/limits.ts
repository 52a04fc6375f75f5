/** What one archive may hold (design, sections 4 and 6). Whichever comes first ends it. */

/** Bytes of BSON. Expedited retrieval ends at 250 MB, and the bytes must fit below it even where they do not compress. */
export const MAX_ARCHIVE_BYTES = 224 * 1024 * 1024;

/** Records: 200 roster pages of 1,000, which a worker settles well within one lease after the next. */
export const MAX_ARCHIVE_RECORDS = 200_000;
