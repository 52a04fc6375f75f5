/**
 * An administrator's identity: the private half of a recipient, in an age identity file that `age` itself reads too.
 * For the administrator's own machine, in the CLI; neither `jobs/` nor `src/console/` may import this file.
 */
import {
  armor,
  Decrypter,
  Encrypter,
  generateHybridIdentity,
  generateX25519Identity,
  identityToRecipient,
} from 'age-encryption';
import { MoraineError } from '../errors.ts';

/** An opened identity. Its secret is not shown by any print or JSON of it. */
export class AdministratorIdentity {
  readonly recipient: string;
  readonly #secret: string;

  private constructor(recipient: string, secret: string) {
    this.recipient = recipient;
    this.#secret = secret;
  }

  /** Throws IDENTITY_WRONG when the text is not one `AGE-SECRET-KEY-…` with a right checksum. */
  static async of(secret: string): Promise<AdministratorIdentity> {
    try {
      return new AdministratorIdentity(await identityToRecipient(secret), secret);
    } catch {
      // The cause stays out: its text could quote the secret.
      throw new MoraineError('IDENTITY_WRONG', 'The file holds no valid age identity: a character is wrong.');
    }
  }

  /** What an age file holds; null when it is not for this identity. Throws what the library throws for a damaged file. */
  async open(file: Uint8Array): Promise<Uint8Array | null> {
    return decryptWith(file, (decrypter) => decrypter.addIdentity(this.#secret));
  }
}

export interface NewIdentityOptions {
  /** The time for the file's first line. */
  readonly now: Date;
  /** Without one the file is plain text: whoever reads it opens the owner's archives. */
  readonly passphrase?: string | undefined;
  /** Hybrid post-quantum (ML-KEM-768 with X25519); its recipient has 1,959 characters. */
  readonly postQuantum?: boolean;
  /** Base-2 logarithm of scrypt's work; 18 takes about a second. */
  readonly scryptLogN?: number;
}

export interface NewIdentity {
  /** The identity file: age's own text form, or an armored age file when there is a passphrase. */
  readonly file: string;
  readonly recipient: string;
}

/** age's own default. */
const SCRYPT_LOG_N = 18;

export async function newIdentity(options: NewIdentityOptions): Promise<NewIdentity> {
  const secret = options.postQuantum ? await generateHybridIdentity() : await generateX25519Identity();
  const recipient = await identityToRecipient(secret);
  const text = `# created: ${options.now.toISOString()}\n# public key: ${recipient}\n${secret}\n`;
  if (options.passphrase === undefined) return { file: text, recipient };
  if (options.passphrase === '') {
    throw new MoraineError('USAGE', 'The passphrase is empty.', { hint: 'Give one, or pass --no-passphrase.' });
  }
  const encrypter = new Encrypter();
  encrypter.setPassphrase(options.passphrase);
  encrypter.setScryptWorkFactor(options.scryptLogN ?? SCRYPT_LOG_N);
  return { file: armor.encode(await encrypter.encrypt(text)), recipient };
}

/** Whether {@link openIdentity} needs a passphrase for this file. */
export function isPassphraseProtected(file: Uint8Array): boolean {
  return ageFile(file) !== null;
}

/** Reads an identity file, plain or passphrase-protected (armored or binary). Throws IDENTITY_WRONG. */
export async function openIdentity(file: Uint8Array, passphrase?: string): Promise<AdministratorIdentity> {
  const encrypted = ageFile(file);
  let text: Uint8Array | null = file;
  if (encrypted !== null) {
    if (passphrase === undefined) {
      throw new MoraineError('IDENTITY_WRONG', 'The identity file needs its passphrase.', {
        hint: 'Run the command on a terminal and type the passphrase.',
      });
    }
    try {
      text = await decryptWith(encrypted, (decrypter) => decrypter.addPassphrase(passphrase));
    } catch (cause) {
      throw new MoraineError('IDENTITY_WRONG', 'The identity file is damaged.', { cause });
    }
    if (text === null) {
      throw new MoraineError('IDENTITY_WRONG', 'The passphrase does not open the identity file.', {
        hint: 'Type the passphrase that was set when the identity was made.',
      });
    }
  }
  const secrets = new TextDecoder()
    .decode(text)
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'));
  const secret = secrets[0];
  if (secret === undefined || secrets.length > 1) {
    throw new MoraineError('IDENTITY_WRONG', `The file holds ${secrets.length} identities; expected one.`);
  }
  return AdministratorIdentity.of(secret);
}

const BINARY_START = 'age-encryption.org/v1\n';
const ARMOR_START = '-----BEGIN AGE ENCRYPTED FILE-----';

/** The binary age file, when this is one; null for plain text. */
function ageFile(file: Uint8Array): Uint8Array | null {
  const start = new TextDecoder().decode(file.subarray(0, 64)).trimStart();
  if (start.startsWith(BINARY_START)) return file;
  if (!start.startsWith(ARMOR_START)) return null;
  try {
    return armor.decode(new TextDecoder().decode(file));
  } catch (cause) {
    throw new MoraineError('IDENTITY_WRONG', 'The identity file is damaged.', { cause });
  }
}

/** Null when nothing that was added to the decrypter matches. The library says so in a message only, so we look. */
async function decryptWith(file: Uint8Array, add: (decrypter: Decrypter) => void): Promise<Uint8Array | null> {
  const decrypter = new Decrypter();
  add(decrypter);
  let isNoMatch = false;
  decrypter.addIdentity({
    unwrapFileKey: () => {
      isNoMatch = true;
      return null;
    },
  });
  try {
    return await decrypter.decrypt(file);
  } catch (error) {
    if (isNoMatch) return null;
    throw error;
  }
}
