/**
 * Who asks for a retrieval. Only a designated administrator of an archive's owner may: proven by an identity, of which
 * the command has the secret in its hands, or by the account that moraine.yaml names for that administrator. The
 * daemon asks for nothing: it follows what was ordered.
 */
import { MoraineError } from '../errors.ts';
import type { OwnerId } from '../ids.ts';
import { isPerson, isSamePerson } from '../ledger/approval-document.ts';

export interface DesignatedAdministrator {
  readonly name: string;
  /** Absent: KMS opens for this one, whom its account names. */
  readonly recipient?: string | undefined;
  readonly account?: string | undefined;
}

export type AdministratorsOf = (owner: OwnerId) => readonly DesignatedAdministrator[];

/** An identity that was read out of its file: its recipient follows from its secret. */
export interface ShownIdentity {
  readonly recipient: string;
  open(wrapped: Uint8Array): Promise<Uint8Array | null>;
}

export class Asker {
  /** The account that runs the command, as the audit names it. */
  readonly actor: string;
  readonly #recipient: string | null;
  readonly #administratorsOf: AdministratorsOf;

  private constructor(actor: string, recipient: string | null, administratorsOf: AdministratorsOf) {
    this.actor = actor;
    this.#recipient = recipient;
    this.#administratorsOf = administratorsOf;
  }

  static of(actor: string, identity: ShownIdentity | null, administratorsOf: AdministratorsOf): Asker {
    return new Asker(actor, identity?.recipient ?? null, administratorsOf);
  }

  /** The name of the owner's administrator that asks. Throws RETRIEVAL_NOT_ALLOWED. */
  administratorOf(owner: OwnerId): string {
    const designated = this.#administratorsOf(owner);
    const found = designated.find((each) => this.#is(each));
    if (found !== undefined) return found.name;
    const shown = this.#recipient === null ? `the account ${this.actor}` : 'this identity, and the account,';
    const names = designated.map(({ name }) => name).join(', ');
    throw new MoraineError(
      'RETRIEVAL_NOT_ALLOWED',
      `${capital(shown)} is of none of the administrators of owner ${owner}: ${names || 'moraine.yaml names none'}.`,
      {
        hint:
          this.#recipient === null
            ? `Show the identity of one of them: --identity FILE (${names || 'none'}).`
            : `Let one of them ask: ${names || 'name one in moraine.yaml'}.`,
        ids: { owner },
      },
    );
  }

  #is({ recipient, account }: DesignatedAdministrator): boolean {
    if (this.#recipient !== null && recipient === this.#recipient) return true;
    return account !== undefined && isPerson(this.actor) && isSamePerson(account, this.actor);
  }
}

function capital(text: string): string {
  return text.slice(0, 1).toUpperCase() + text.slice(1);
}
