import { createHash } from 'node:crypto';
import type { FastifyRequest } from 'fastify';
import { checkPayload } from './body.ts';
import { missingParameter, serialization } from './errors.ts';
import type { Operation } from './operations.ts';

const EMPTY_SHA256 = createHash('sha256').digest('hex');
const LARGEST_JSON_BYTES = 1024 * 1024;

/**
 * The hash of the payload that the signature covers. Small bodies are read here. Those that are stored are hashed as
 * they arrive, so the client has to say beforehand what they hash to.
 */
export async function readPayload(
  request: FastifyRequest,
  operation: Operation,
): Promise<{ contentSha256: string; text: string }> {
  const header = request.headers['x-amz-content-sha256'];
  const claimed = typeof header === 'string' ? header : undefined;
  if (operation.body === 'stream') {
    if (claimed === undefined) throw missingParameter('x-amz-content-sha256');
    return { contentSha256: claimed, text: '' };
  }
  if (operation.body === 'none') return { contentSha256: claimed ?? EMPTY_SHA256, text: '' };
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request.raw) {
    chunks.push(chunk);
    bytes += chunk.length;
    if (bytes > LARGEST_JSON_BYTES) throw serialization(`The body has more than ${LARGEST_JSON_BYTES} bytes`);
  }
  const body = Buffer.concat(chunks);
  const computed = createHash('sha256').update(body).digest('hex');
  if (claimed !== undefined) checkPayload(claimed, computed);
  return { contentSha256: computed, text: body.toString('utf8') };
}

export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw serialization('The body is not valid JSON');
  }
}
