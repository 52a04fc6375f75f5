import type { Command } from '../run.ts';
import type { ServiceName } from '../services.ts';

/** One server of the native stack: how it is started, how one sees that it is ready, how it is asked to end. */
export interface Server {
  readonly name: string;
  /** The service whose URL is this server's port; null for one that only other servers use. */
  readonly service: ServiceName | null;
  readonly port: number;
  readonly log: string;
  /** Called before every start. */
  prepare(): Promise<void>;
  readonly command: Command;
  isReady(): Promise<boolean>;
  /** Called once when it is ready, before whatever needs it is started. */
  complete?(): Promise<void>;
  readonly readyWithinMs: number;
  readonly stopSignal: NodeJS.Signals;
  /** Makes it startable again after a start that failed; absent where nothing can be lost by hand. */
  repair?(): Promise<void>;
}
