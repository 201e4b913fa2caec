import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { commonEnd, findWorkflow, isRemotePath, likeliest, partsOf } from '../../../src/python';

describe('a workflow is found', () => {
  test.each([
    ['decorated with its name', '\n@workflow("review")\ndef f():', 'review', 1, 'decorated'],
    ['decorated, by a module', "@am.workflow('review', trigger='x')\ndef f():", 'review', 0, 'decorated'],
    ['decorated, by keyword', '@workflow(name="review")\ndef f():', 'review', 0, 'decorated'],
    ['decorated, over several lines', 'x\n@workflow(\n    "review",\n)\ndef f():', 'review', 1, 'decorated'],
    ['entered', 'def f():\n    with workflow("review"):', 'review', 1, 'entered'],
    ['entered among others', '    async with session, am.workflow("review") as run:', 'review', 0, 'entered'],
    ['named after its function', '@workflow\ndef review(diff):', 'review', 0, 'function'],
    ['named after its async function, below other decorators', '@cached\n@workflow()\n@other\nasync def review():', 'review', 1, 'function'],
    ['named after its method', 'class Job:\n    @workflow\n    def run(self):', 'Job.run', 1, 'function'],
    ['in an old workflow class', 'class ReviewWorkflow(Base):\n    name = "review"', 'review', 1, 'attribute'],
    ['behind Windows line ends', 'x = 1\r\n@workflow("review")\r\ndef f():', 'review', 1, 'decorated'],
    ['nested in a function', 'def outer():\n    @workflow\n    def inner():', 'inner', 1, 'function'],
  ])('%s', (_, text, name, line, kind) => {
    expect(findWorkflow(text, name)).toEqual({ line, kind });
  });

  test('where it is surest, not where it is first', () => {
    const text = '@workflow\ndef review(): ...\nwith workflow("review"): ...\n@workflow("review")\ndef other(): ...';
    expect(findWorkflow(text, 'review')).toEqual({ line: 3, kind: 'decorated' });
  });
});

describe('a workflow is not found', () => {
  test.each([
    ['in the name of another', '@workflow("review-all")\ndef f():', 'review'],
    ['where it is only called', 'review(diff)', 'review'],
    ['where the function is not decorated', '@other\ndef review():', 'review'],
    ['where a decorated class stands between', '@workflow\nclass A:\n    def review(self):', 'review'],
    ['in a comment', '# with workflow("review")', 'review'],
    ['in the attribute of some other class', 'class Tool:\n    name = "review"', 'review'],
    ['without a name', '@workflow("")\ndef f():', ''],
  ])('%s', (_, text, name) => {
    expect(findWorkflow(text, name)).toBeNull();
  });

  test('and nothing of a name is taken for a pattern', () => {
    fc.assert(fc.property(fc.string({ unit: fc.constantFrom('.', '*', '(', '[', '\\', 'a', '+', '$', '^') }), (name) => {
      expect(findWorkflow('@workflow("aaaa")\ndef aa(): ...', name)?.line ?? 0).toBe(0);
      expect(findWorkflow('@workflow("b")\ndef b(): ...', name)).toBeNull();
    }));
  });
});

test('a large file is searched in time that grows with its size', () => {
  const text = `${'@workflow(\n'.repeat(20_000)}${' '.repeat(100_000)}with workflow("x")`;
  expect(findWorkflow(text, 'x')).not.toBeNull();
});

describe('paths of other machines', () => {
  test.each([
    ['C:\\Users\\me\\proj\\app\\a.py', ['Users', 'me', 'proj', 'app', 'a.py']],
    ['/home/me/./proj/a.py', ['home', 'me', 'proj', 'a.py']],
    ['\\\\wsl$\\Debian\\a.py', ['wsl$', 'Debian', 'a.py']],
    ['', []],
  ])('%s has the parts %j', (file, parts) => {
    expect(partsOf(file)).toEqual(parts);
  });

  test('what two have in common is counted from the end', () => {
    expect(commonEnd(['x', 'app', 'a.py'], ['y', 'app', 'a.py'])).toBe(2);
    expect(commonEnd(['a.py'], ['a.py'])).toBe(1);
    expect(commonEnd([], ['a.py'])).toBe(0);
  });

  test('the file whose path ends most like it is meant', () => {
    const files = [['one', '/ws/lib/app/a.py'], ['two', '/ws/src/app/a.py'], ['three', '/ws/a.py']] as const;
    expect(likeliest('D:\\proj\\src\\app\\a.py', files)).toEqual({ file: 'two', common: 3 });
  });

  test('of two as likely none is meant, nor one with nothing in common', () => {
    expect(likeliest('/x/app/a.py', [['one', '/p/app/a.py'], ['two', '/q/app/a.py']])).toBeNull();
    expect(likeliest('/x/a.py', [['one', '/x/b.py']])).toBeNull();
  });

  test.each([['\\\\evil\\share\\a.py', true], ['//evil/share', true], ['\\\\?\\C:\\a', true], ['/home/a.py', false], ['C:\\a.py', false]])(
    '%s would be asked of another machine: %s', (file, remote) => {
      expect(isRemotePath(file)).toBe(remote);
    },
  );
});
