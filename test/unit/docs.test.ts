import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { errorsPage } from '../../scripts/errors-page.ts';
import { withTables } from '../../scripts/reliability-tables.ts';
import { COMMANDS } from '../../src/cli/commands.ts';
import { EXIT } from '../../src/cli/exit-code.ts';
import { ERROR_KINDS } from '../../src/errors.ts';
import { ARCHIVE_STATES, LEGAL_MOVES } from '../../src/ledger/states.ts';
import { METRICS } from '../../src/metrics.ts';
import { loadPolicy } from '../../src/policy/load.ts';
import { CHECKOUT } from '../harness/module-graph.ts';

const read = (path: string) => readFileSync(join(CHECKOUT, path), 'utf8');
const pages = globSync('{*.md,docs/**/*.md,infra/**/*.md,test/**/*.md}', { cwd: CHECKOUT }).sort();
/** Fenced blocks show what a program prints or what somebody's own file says. */
const prose = (path: string) => read(path).replace(/^```.*?^```/gms, '');

describe('the life of an archive in docs/architecture.md', () => {
  const page = read('docs/architecture.md');

  test('its table is the table of legal moves', () => {
    const rows = [...page.matchAll(/^\| `(\w+)` +\| `(\w+)` +\| (.+?) +\|$/gm)].map(([, from, to, when]) => ({
      from,
      to,
      when,
    }));
    expect(rows).toEqual(LEGAL_MOVES);
  });

  test('its diagram shows exactly these moves, and which states are first and last', () => {
    const diagram = /stateDiagram-v2\n(.*?)```/s.exec(page)?.[1] ?? '';
    const arrows = [...diagram.matchAll(/^ *(\S+) --> (\S+)$/gm)].map(([, from, to]) => `${from} ${to}`);
    const last = ARCHIVE_STATES.filter((state) => !LEGAL_MOVES.some(({ from }) => from === state));
    const ends = last.map((state) => `${state} [*]`);
    const moves = LEGAL_MOVES.map(({ from, to }) => `${from} ${to}`);
    expect(arrows.sort()).toEqual(['[*] planned', ...moves, ...ends].sort());
  });
});

describe('docs/errors.md', () => {
  test('is what the list of errors says (else: node scripts/write-errors-page.ts)', () => {
    expect(read('docs/errors.md')).toBe(errorsPage());
  });

  test('names every code once', () => {
    const codes = [...read('docs/errors.md').matchAll(/^\| `([A-Z_]+)` /gm)].map(([, code]) => code);
    expect(codes.sort()).toEqual(Object.keys(ERROR_KINDS).sort());
  });
});

test('docs/reliability.md: its tables are what the judge and the planted bugs say (else: node scripts/write-reliability-tables.ts)', () => {
  expect(read('docs/reliability.md')).toBe(withTables(read('docs/reliability.md')));
});

describe('docs/operating.md', () => {
  const page = read('docs/operating.md');

  test('has a section for every error that needs a person, and for no other', () => {
    const sections = [...page.matchAll(/^### `([A-Z_]+)`$/gm)].map(([, code]) => code);
    const needPerson = Object.entries(ERROR_KINDS).filter(([, kind]) => kind.class === 'person');
    expect(sections.sort()).toEqual(needPerson.map(([code]) => code).sort());
  });

  test('names metrics that there are', () => {
    const named = [...page.matchAll(/`(moraine_\w+)`/g)].map(([, name]) => name ?? '');
    expect(named.length).toBeGreaterThan(3);
    expect(named.filter((name) => !Object.hasOwn(METRICS, name))).toEqual([]);
  });

  test('has a row for every alert of infra/dashboards', () => {
    const rows = [...page.matchAll(/^\| `(Moraine\w+)` /gm)].map(([, alert]) => alert);
    const alerts = [...read('infra/dashboards/alerts.yaml').matchAll(/- alert: (\w+)/g)].map(([, alert]) => alert);
    expect(rows).toEqual(alerts);
  });

  test('has a way out for every reason of a quarantine', () => {
    const reasons = [...read('src/lifecycle/quarantine-record.ts').matchAll(/^ {2}'([a-z-]+)':/gm)].map(
      ([, one]) => one,
    );
    expect(reasons.length).toBeGreaterThan(5);
    for (const reason of reasons) expect(page).toContain(`\`${reason}\``);
  });

  test('has a row for every exit code', () => {
    const rows = [...page.matchAll(/^\| (\d) +\|/gm)].map(([, code]) => Number(code));
    expect(rows).toEqual(Object.values(EXIT).sort());
  });
});

test('the policy in the README loads without a warning', () => {
  const [, text = ''] = /```yaml\n(.*?)```/s.exec(read('README.md')) ?? [];
  expect(loadPolicy('README.md', text)).toMatchObject({ loaded: { warnings: [] }, problems: [] });
});

describe('pages', () => {
  test('every page in docs is reached from the README', () => {
    const reached = new Set(['README.md']);
    for (const page of reached) for (const target of linkedPages(page)) reached.add(target);
    expect(pages.filter((page) => page.startsWith('docs') && !reached.has(page))).toEqual([]);
  });

  test.each(pages)('%s: links lead somewhere', (page) => {
    const links = [...prose(page).matchAll(/\]\(([^)\s]+)\)/g)].map(([, link]) => link ?? '');
    const local = links.filter((link) => !/^[a-z]+:/.test(link));
    const broken = local.filter((link) => {
      const [path = '', anchor] = link.split('#');
      const target = path === '' ? page : join(dirname(page), path);
      if (!existsSync(join(CHECKOUT, target))) return true;
      return anchor !== undefined && !anchorsOf(read(target)).includes(anchor);
    });
    expect(broken).toEqual([]);
  });

  test.each(pages)('%s: files that it names exist', (page) => {
    const named = [...prose(page).matchAll(/`((?:src|jobs|infra|docs|policies|test|scripts|bench)\/[\w./*-]*)`/g)];
    const missing = named
      .map(([, path]) => path ?? '')
      .filter((path) => globSync(path, { cwd: CHECKOUT }).length === 0);
    expect(missing).toEqual([]);
  });

  test.each(pages)('%s: commands that it names exist', (page) => {
    const named = [...read(page).matchAll(/(?:`|^ *|-- )moraine ([a-z]+)/gm)].map(([, name]) => name ?? '');
    expect(named.filter((name) => !COMMANDS.some((command) => command.name === name))).toEqual([]);
  });

  test.each(pages)('%s: codes that it names exist', (page) => {
    const named = [...prose(page).matchAll(/`([A-Z]+(?:_[A-Z]+)+)`/g)].map(([, code]) => code ?? '');
    const others = /^(MAX_|LEASE_|MORAINE_|EMULATOR_|ALG_|GLACIER_IR|DEEP_ARCHIVE|INDEX_WITHOUT_ID|COLLECTION_MISSING)/;
    expect(named.filter((code) => !others.test(code) && !Object.hasOwn(ERROR_KINDS, code))).toEqual([]);
  });
});

function linkedPages(page: string): string[] {
  const links = [...prose(page).matchAll(/\]\(([^)\s#]+\.md)/g)].map(([, link]) => join(dirname(page), link ?? ''));
  return links.filter((target) => existsSync(join(CHECKOUT, target)));
}

/** As hosts make them of headings: lower case, no punctuation, dashes for spaces. */
function anchorsOf(text: string): string[] {
  return [...text.matchAll(/^#+ (.+)$/gm)].map(([, heading]) =>
    (heading ?? '')
      .toLowerCase()
      .replace(/[^\w\- ]/g, '')
      .replaceAll(' ', '-'),
  );
}
