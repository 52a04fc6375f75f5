import { systemClock } from '../../src/clock.ts';
import { MemoryStore } from '../../src/ledger/memory-store.ts';
import { approvalsContract } from './approvals-contract.ts';

approvalsContract('the store in memory', async () => new MemoryStore(systemClock));
