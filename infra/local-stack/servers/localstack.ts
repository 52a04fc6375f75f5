import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { localstackPython } from '../install/localstack.ts';
import { logFile, stackFiles } from '../places.ts';
import { httpAnswers } from '../probes.ts';
import type { Server } from './server.ts';

/** S3 for archives, SNS, SQS and SES for notices, STS for roles. Its state is in memory only. */
const AWS_SERVICES = 's3,sns,sqs,ses,sts';

export function localstack(stackDir: string, port: number): Server {
  const directory = join(stackFiles(stackDir).data, 'localstack');
  return {
    name: 'localstack',
    service: 's3',
    port,
    log: logFile(stackDir, 'localstack'),
    readyWithinMs: 90_000,
    stopSignal: 'SIGTERM',
    command: {
      file: localstackPython(),
      args: ['-m', 'localstack.runtime.main'],
      cwd: directory,
      env: {
        GATEWAY_LISTEN: `127.0.0.1:${port}`,
        SERVICES: AWS_SERVICES,
        DISABLE_EVENTS: '1',
        SKIP_SSL_CERT_DOWNLOAD: '1',
        // As S3 does: a presigned request is refused when its signature is wrong or its time is over.
        S3_SKIP_SIGNATURE_VALIDATION: '0',
        FILESYSTEM_ROOT: directory,
        // Its cache of plug-ins goes stale when another version is installed: keep it with this stack.
        XDG_CACHE_HOME: join(directory, 'cache'),
      },
    },
    async prepare() {
      await mkdir(directory, { recursive: true });
    },
    isReady: () => httpAnswers(`http://127.0.0.1:${port}/_localstack/health`),
  };
}
