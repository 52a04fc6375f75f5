/** What a run met that stopped the policy or parts of it, as it is told. */
import { errorClass, MoraineError } from '../errors.ts';
import type { ArchiveId, CustomerId, OwnerId } from '../ids.ts';
import type { Policy } from '../policy/policy.ts';
import { withEach } from '../policy/terms.ts';

export interface RunProblem {
  readonly owner?: OwnerId;
  readonly customer?: CustomerId;
  readonly archive?: ArchiveId;
  readonly code: string;
  readonly text: string;
  readonly hint: string;
  readonly needsPerson: boolean;
}

/** What a run met that stopped parts of it. */
export interface Met {
  readonly problems: RunProblem[];
  readonly paused: Set<string>;
}

export function describe(error: unknown): Pick<RunProblem, 'code' | 'text' | 'hint' | 'needsPerson'> {
  if (error instanceof MoraineError) {
    return {
      code: error.code,
      text: error.message,
      hint: error.hint,
      needsPerson: errorClass(error) === 'person' || errorClass(error) === 'quarantine',
    };
  }
  return {
    code: 'INTERNAL',
    text: error instanceof Error ? error.message : String(error),
    hint: 'Report this; the work on it has stopped.',
    needsPerson: false,
  };
}

export function capProblem(policy: Policy, text: string): RunProblem {
  const more = withEach(policy);
  const along = more.length === 0 ? '' : ` Each counts once, with what hangs on it: ${more.join('; ')}.`;
  return {
    code: 'BLAST_CAP',
    text: `Policy ${policy.name} starts nothing: ${text}.${along}`,
    hint: `Look at \`moraine plan ${policy.name}\`.`,
    needsPerson: true,
  };
}
