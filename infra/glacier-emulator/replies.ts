import { Readable, Transform } from 'node:stream';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Reply } from './call.ts';
import { GlacierError, serviceUnavailable } from './errors.ts';
import type { FaultKind } from './faults.ts';

/** How answers go out: whole, damaged on purpose, or not at all. */

export function send(reply: FastifyReply, answer: Reply, fault: FaultKind | null): FastifyReply {
  const { status, headers = {}, body } = answer;
  reply.status(status).headers(headers);
  if (body === undefined) return reply.send();
  if (!Buffer.isBuffer(body) && !(body instanceof Readable)) {
    return sendJson(reply, body);
  }
  if (fault === 'corrupt-output') return reply.send(asStream(body).pipe(flipFirstByte()));
  if (fault === 'cut')
    return reply.send(asStream(body).pipe(endAfter(Math.floor(Number(headers['content-length']) / 2))));
  return reply.send(body);
}

/** Ends the connection without a reply. */
export function cut(request: FastifyRequest, reply: FastifyReply): FastifyReply {
  reply.hijack();
  request.raw.socket.destroy();
  return reply;
}

const asStream = (body: Buffer | Readable) => (Buffer.isBuffer(body) ? Readable.from([body]) : body);

function flipFirstByte(): Transform {
  let isFirst = true;
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      const copy = Buffer.from(chunk);
      if (isFirst && copy.byteLength > 0) {
        copy[0] = copy[0]! ^ 0xff;
        isFirst = false;
      }
      done(null, copy);
    },
  });
}

/** Passes `bytes` on, then fails, which ends the connection. */
function endAfter(bytes: number): Transform {
  let left = bytes;
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      this.push(chunk.subarray(0, left));
      left -= chunk.byteLength;
      if (left > 0) done();
      // The bytes that were passed on get a chance to leave first.
      else setTimeout(() => done(new Error('cut on purpose')), 20);
    },
  });
}

export function sendError(error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  if (!(error instanceof GlacierError)) {
    console.error(`glacier emulator: ${request.method} ${request.url} failed:`, error);
  }
  const known = error instanceof GlacierError ? error : serviceUnavailable();
  return sendJson(reply.status(known.status), { code: known.code, message: known.message, type: known.type });
}

/** As bytes: to a text Fastify would add a charset, and boto 2 takes nothing but exactly this type for JSON. */
function sendJson(reply: FastifyReply, body: Record<string, unknown>): FastifyReply {
  return reply.type('application/json').send(Buffer.from(JSON.stringify(body)));
}
