import { connect } from 'node:net';
import { deserialize, serialize } from 'bson';

/** A server that says nothing for this long is not well. */
const PROBE_MS = 2000;

const OP_MSG = 2013;
const MESSAGE_HEADER_BYTES = 21;

/** True when a MongoDB server answers a ping: the gateway asks its database for it, so both are there. */
export async function mongodbAnswers(host: string, port: number): Promise<boolean> {
  const body = serialize({ ping: 1, $db: 'admin' });
  const request = Buffer.alloc(MESSAGE_HEADER_BYTES + body.length);
  request.writeInt32LE(request.length, 0);
  request.writeInt32LE(1, 4);
  request.writeInt32LE(OP_MSG, 12);
  request.set(body, MESSAGE_HEADER_BYTES);
  const reply = await exchange(
    host,
    port,
    request,
    (bytes) => bytes.length >= 4 && bytes.length >= bytes.readInt32LE(0),
  );
  return reply !== null && Number(deserialize(reply.subarray(MESSAGE_HEADER_BYTES))['ok']) === 1;
}

export async function redisAnswers(host: string, port: number): Promise<boolean> {
  const reply = await exchange(host, port, Buffer.from('PING\r\n'), (bytes) => bytes.includes('\r\n'));
  return reply?.toString().startsWith('+PONG') ?? false;
}

export async function httpAnswers(url: string): Promise<boolean> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(PROBE_MS) });
    await response.body?.cancel();
    return response.ok;
  } catch {
    return false;
  }
}

export async function portAnswers(host: string, port: number): Promise<boolean> {
  return (await exchange(host, port, Buffer.alloc(0), () => true)) !== null;
}

/** Sends the request and collects the answer until `complete`; null when it does not come. */
function exchange(
  host: string,
  port: number,
  request: Buffer,
  complete: (answer: Buffer) => boolean,
): Promise<Buffer | null> {
  return new Promise((resolve) => {
    let answer: Buffer = Buffer.alloc(0);
    const socket = connect({ host, port, timeout: PROBE_MS });
    const finish = (result: Buffer | null) => {
      socket.destroy();
      resolve(result);
    };
    socket.on('connect', () => (request.length === 0 ? finish(answer) : socket.write(request)));
    socket.on('data', (chunk) => {
      answer = Buffer.concat([answer, chunk]);
      if (complete(answer)) finish(answer);
    });
    socket.on('timeout', () => finish(null));
    socket.on('error', () => finish(null));
    socket.on('close', () => resolve(null));
  });
}
