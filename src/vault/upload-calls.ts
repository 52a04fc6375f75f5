/** What the calls of an upload mean, with any backend: for their messages, and for what may be when the reply is lost. */
import type { UploadIntent, VaultLocation } from './port.ts';
import type { CallMeaning } from './translate-error.ts';

export function storing({ archive, attempt }: UploadIntent, location: VaultLocation): CallMeaning {
  return { what: `store archive ${archive}`, location, effect: mayBeStored(archive, attempt) };
}

export function beginning({ archive, attempt }: UploadIntent, location: VaultLocation): CallMeaning {
  const effect = `An upload for attempt ${attempt} may be open.`;
  return { what: `begin the upload of archive ${archive}`, location, effect };
}

export function sendingPart({ archive }: UploadIntent, index: number, location: VaultLocation): CallMeaning {
  return { what: `send part ${index} of archive ${archive}`, location, effect: null };
}

export function completing({ archive, attempt }: UploadIntent, location: VaultLocation): CallMeaning {
  return { what: `complete the upload of archive ${archive}`, location, effect: mayBeStored(archive, attempt) };
}

export function aborting(location: VaultLocation): CallMeaning {
  return { what: 'abort an upload', location, effect: null };
}

export function listingUploads(location: VaultLocation): CallMeaning {
  return { what: 'list the uploads', location, effect: null };
}

function mayBeStored(archive: string, attempt: string): string {
  return `Archive ${archive}, attempt ${attempt}, may be stored.`;
}
