// Loads a live page again from time to time, while somebody looks at it. Everything works without this file.
const PERIOD_MS = 15_000;

async function refresh() {
  const main = document.querySelector('main[data-live]');
  // Whoever marks text or moves through the page by keyboard must not lose the place.
  const isBusy = document.hidden || String(document.getSelection()) !== '' || main?.contains(document.activeElement);
  if (!main || isBusy) return;
  const reply = await fetch(location.href, { headers: { accept: 'text/html' } });
  if (!reply.ok) return;
  const page = new DOMParser().parseFromString(await reply.text(), 'text/html');
  const fresh = page.querySelector('main');
  if (fresh) main.replaceChildren(...fresh.childNodes);
}

if (document.querySelector('main[data-live]')) {
  // The server may be gone for a moment; the page then shows when it was read last.
  setInterval(() => refresh().catch(() => undefined), PERIOD_MS);
}
