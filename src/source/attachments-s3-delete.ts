/**
 * A delete that S3 refuses when it comes too late. A database takes the end of an announcement inside the command; S3 has no
 * such condition, but it looks at when a request was signed and for how long. So the deadline is the end of a presigned
 * address: dated a fixed time before the announcement's end and good until exactly then, by no clock of ours. A request that
 * was frozen on its way (a stopped process, a dead network, a proxy that kept it) is refused by the service itself.
 *
 * The worst interleaving: look (no hold), send, the request hangs, a hold is placed and becomes active `ANNOUNCEMENT_SKEW_MS`
 * after the announcement's end, the request arrives: signed for a time that is over. What is left is a store whose clock is
 * behind the database's by more than that skew.
 */
import { DeleteObjectCommand, type S3Client } from '@aws-sdk/client-s3';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';

/** How far before its end the address is dated: more than an announcement lasts with any skew, so never in the future. */
const SIGNED_BEFORE_END_S = 600;
/** Whoever waits longer than an announcement lasts waits for a refusal. */
const ANSWER_WITHIN_MS = 20_000;

export type DeleteAnswer = 'deleted' | 'missing' | 'too-late' | 'denied' | 'failed';

/** Deletes exactly this version, at the service's `until` at the latest. `failed` where what happened is not known. */
export async function deleteUntil(
  client: S3Client,
  version: { readonly Bucket: string; readonly Key: string; readonly VersionId: string },
  until: Date,
): Promise<{ readonly answer: DeleteAnswer; readonly cause?: unknown }> {
  // Signatures know whole seconds: the one that has begun is not used.
  const endsAtS = Math.floor(until.getTime() / 1000);
  const url = await getSignedUrl(client, new DeleteObjectCommand(version), {
    signingDate: new Date((endsAtS - SIGNED_BEFORE_END_S) * 1000),
    expiresIn: SIGNED_BEFORE_END_S,
  });
  let reply: Response;
  let body: string;
  try {
    const signal = AbortSignal.timeout(ANSWER_WITHIN_MS);
    reply = await fetch(url, { method: 'DELETE', redirect: 'manual', signal });
    body = await reply.text();
  } catch (cause) {
    return { answer: 'failed', cause };
  }
  if (reply.ok) return { answer: 'deleted' };
  if (reply.status === 404) return { answer: 'missing' };
  const [, code = `status ${reply.status}`] = /<Code>([A-Za-z]{1,64})<\/Code>/.exec(body) ?? [];
  if (code !== 'AccessDenied') return { answer: 'failed', cause: namedError(code) };
  // What came too late and what a lock refuses have the same code; the time of the reply tells them apart. One without a time
  // counts as too late: that is tried again, and a lock is for good.
  const at = Date.parse(reply.headers.get('date') ?? '');
  return { answer: at / 1000 < endsAtS ? 'denied' : 'too-late' };
}

function namedError(name: string): Error {
  const error = new Error('The store refused a delete.');
  error.name = name;
  return error;
}
