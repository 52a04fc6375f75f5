import { InvalidArgumentError } from 'commander';
import { describe, expect, test } from 'vitest';
import { EXIT, exitCodeOf, exitCodeOfProblem, worst } from '../../src/cli/exit-code.ts';
import { table } from '../../src/cli/output.ts';
import { parseInstant } from '../../src/cli/parse-instant.ts';
import { asMoraineError, errorDocument, errorText } from '../../src/cli/render-error.ts';
import { dumpPath } from '../../src/cli/restore-folder.ts';
import { count, counted, instant, size, wait } from '../../src/cli/words.ts';
import { ERROR_KINDS, type ErrorCode, MoraineError } from '../../src/errors.ts';
import { id } from '../../src/ids.ts';

describe('exit codes', () => {
  test('come from the class of the error: usage 2, a person 3, everything else 1', () => {
    expect(exitCodeOf(new MoraineError('POLICY_INVALID', ''))).toBe(2);
    expect(exitCodeOf(new MoraineError('BLAST_CAP', ''))).toBe(3);
    expect(exitCodeOf(new MoraineError('MONGODB_UNAVAILABLE', ''))).toBe(1);
    expect(exitCodeOf(new MoraineError('RETRIEVAL_NOT_READY', ''))).toBe(1);
    expect(exitCodeOf(new MoraineError('ARCHIVE_CORRUPT', ''))).toBe(1);
    expect(exitCodeOf(new Error('a bug'))).toBe(1);
  });

  test('of a problem beside work that was done: what was put aside or not configured needs a person; an unknown code failed', () => {
    expect(exitCodeOfProblem('KEY_MISSING')).toBe(3);
    expect(exitCodeOfProblem('OWNER_UNKNOWN')).toBe(3);
    expect(exitCodeOfProblem('VAULT_UNAVAILABLE')).toBe(1);
    expect(exitCodeOfProblem('SOMETHING')).toBe(1);
  });

  test('several become the one that weighs most', () => {
    expect(worst([])).toBe(EXIT.done);
    expect(worst([EXIT.done, EXIT.person])).toBe(EXIT.person);
    expect(worst([EXIT.person, EXIT.usage])).toBe(EXIT.usage);
    expect(worst([EXIT.usage, EXIT.failed, EXIT.person])).toBe(EXIT.failed);
  });
});

describe('errors', () => {
  test('every one says what happened, what was changed, whether it is tried again, and what to do', () => {
    for (const code of Object.keys(ERROR_KINDS) as ErrorCode[]) {
      const text = errorText(new MoraineError(code, 'It happened.\nAnd more.', { ids: { archive: 'a1' } }));
      expect(text).toContain('✗ It happened.\n  And more.');
      expect(text).toContain('Changed: Nothing was changed.');
      expect(text).toMatch(/Again: {3}\S/);
      expect(text).toContain(`Hint:    ${ERROR_KINDS[code].hint}`);
      expect(text).toContain('About:   archive a1');
    }
  });

  test('as JSON they have the same fields whatever they are', () => {
    const retryAt = new Date('2030-01-01T00:00:00Z');
    expect(errorDocument(new MoraineError('RETRIEVAL_NOT_READY', 'Later.', { retryAt }))).toEqual({
      code: 'RETRIEVAL_NOT_READY',
      class: 'later',
      message: 'Later.',
      changed: 'Nothing was changed.',
      hint: expect.any(String),
      retryAt: '2030-01-01T00:00:00.000Z',
      ids: {},
    });
    expect(errorDocument(asMoraineError('thrown text'))).toMatchObject({ code: 'INTERNAL', message: 'thrown text' });
  });
});

describe('--as-of and other instants', () => {
  test.each([
    ['2030-01-31', '2030-01-31T00:00:00.000Z'],
    ['2030-01-31T12:00:00Z', '2030-01-31T12:00:00.000Z'],
    ['2030-01-31T00:30+02:00', '2030-01-30T22:30:00.000Z'],
    ['2028-02-29', '2028-02-29T00:00:00.000Z'],
  ])('%s is %s', (text, expected) => {
    expect(parseInstant(text).toISOString()).toBe(expected);
  });

  test.each(['', 'tomorrow', '2030', '2030-02-30', '2030-13-01', '2027-02-29', '2030-01-31T12:00:00', '1/2/2030'])(
    '%j is refused',
    (text) => {
      expect(() => parseInstant(text)).toThrow(InvalidArgumentError);
    },
  );
});

describe('names of restored files, as mongodump writes them', () => {
  test.each([
    ['support.chats', 'support/chats.bson'],
    ['support.chats.2024', 'support/chats.2024.bson'],
    ['a.with space/slash', 'a/with%20space%2Fslash.bson'],
    ['a.x$y&z+k=v:w@h', 'a/x$y&z+k=v:w@h.bson'],
    ["a.q?c,s;e!p'(b)*", 'a/q%3Fc%2Cs%3Be%21p%27%28b%29%2A.bson'],
    ['a.é', 'a/%C3%A9.bson'],
    ['a.100%', 'a/100%25.bson'],
  ])('%s is %s', (namespace, path) => {
    expect(dumpPath(id.namespace(namespace))).toBe(path);
  });

  test('a long name is cut and ends in a hash, and two long names differ', () => {
    const paths = ['x', 'y'].map((end) => dumpPath(id.namespace(`a.${'n'.repeat(239)}${end}`)));
    for (const path of paths) expect(path).toMatch(/^a\/n{208}%24[\w-]{27}\.bson$/);
    expect(new Set(paths).size).toBe(2);
  });
});

describe('words', () => {
  test('numbers, sizes, instants and waiting times', () => {
    expect(count(1_234_567)).toBe('1,234,567');
    expect([counted(1, 'record'), counted(2, 'record'), counted(2, 'policy', 'policies')]).toEqual([
      '1 record',
      '2 records',
      '2 policies',
    ]);
    expect([size(0), size(1023), size(1536), size(224 * 2 ** 20)]).toEqual(['0 B', '1023 B', '1.5 KiB', '224 MiB']);
    expect(instant(new Date('2030-01-31T12:34:56Z'))).toBe('2030-01-31 12:34 UTC');
    expect(instant(null)).toBe('-');
    expect([wait(1), wait(5 * 60_000), wait(5 * 3_600_000), wait(90 * 3_600_000)]).toEqual([
      '1 minute',
      '5 minutes',
      '5 hours',
      '4 days',
    ]);
  });

  test('a table has its columns in line, numbers to the right, and says what it leaves out', () => {
    const rows = Array.from({ length: 45 }, (_, n) => [`name-${n}`, count(10 ** (n % 5))]);
    const lines = table(['what', 'how many'], rows).split('\n');
    expect(lines[0]).toMatch(/^ {2}what +how many$/);
    expect(lines[1]).toMatch(/^ {2}name-0 +1$/);
    expect(new Set(lines.slice(0, 41).map((line) => line.length)).size).toBe(1);
    expect(lines.at(-1)).toContain('5 more');
  });
});
