/** The versions that policies of the first form were published under: archives in ledgers everywhere name them. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { loadPolicy } from '../../src/policy/load.ts';

const PUBLISHED = {
  calls: '4a68110a6098b701f4515deb59d03fd0b53311f658b06af9190274c1b0bb18a4',
  chats: '56c4ce91d978136d5801251c0f96718139f7a33ad1dbca584b368d5528248a05',
  flights: '088b69c18cba615aa9ca0d4295e3b3425c6bf637f394965b6ea16e7f4aa10c96',
  tickets: '039287e4fcb1d00c125413dbc367d1fbdb46408034b77a43fadaa7b61ad30351',
};

test.each(Object.entries(PUBLISHED))('policies/%s.yaml has the version that it always had', (name, version) => {
  const text = readFileSync(new URL(`../../policies/${name}.yaml`, import.meta.url), 'utf8');
  expect(loadPolicy(name, text).loaded?.version).toBe(version);
});
