import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { MASK, redact, redactValue } from '../../../src/redaction';
import { wordingOf } from '../../../src/wording';

// Put together at run time: no scanner for secrets shall take this file for a leak.
const key = (start: string, length = 32): string => start + 'aB3'.repeat(20).slice(0, length);

describe('a secret is not shown', () => {
  test.each([
    key('sk-ant-'), key('sk-'), key('xoxb-'), key('AKIA').toUpperCase(), key('ghp_'), key('github_pat_'), key('AIza', 35), key('hf_'),
    key('pypi-'), `${key('eyJ')}.${key('e')}.${key('x')}`, `123456789:${key('AA', 33)}`,
    '-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----',
  ])('by its shape: %s', (secret) => {
    expect(redact(`before ${secret} after`)).toBe(`before ${MASK} after`);
  });

  test.each([
    ['password=hunter2', `password=${MASK}`],
    ['{"api_key": "abc def"}', `{"api_key": "${MASK}"}`],
    ["{'client_secret': 'x'}", `{'client_secret': '${MASK}'}`],
    ['Authorization: Bearer abc.def', `Authorization: ${MASK}`],
    ['authorization: Basic dXNlcjpwYXNz', `authorization: ${MASK}`],
    ['Set-Cookie: a=b; c=d', `Set-Cookie: ${MASK}`],
    ['sent bearer abc123456', `sent bearer ${MASK}`],
  ])('by its name: %s', (text, shown) => {
    expect(redact(text)).toBe(shown);
  });

  test.each([
    ['https://me:pw@host:8080/a?key=1#x', 'https://host:8080/a'],
    ['see http://host/path.', 'see http://host/path.'],
    ['https://hooks.slack.com/services/T0/B0/xyz', `https://hooks.slack.com/${MASK}`],
    ['https://discord.com/api/webhooks/1/abc', `https://discord.com/${MASK}`],
    ['with url: /v1/x?token=1', 'with url: /v1/x'],
    [`https://host/${key('a', 24)}/x`, `https://host/${MASK}/x`],
    ['odd://', 'odd://'],
    ['/services/T0/B0/xyz', `/services/${MASK}`],
    ['/bot1:abc/send', `/bot${MASK}/send`],
  ])('in an address: %s', (text, shown) => {
    expect(redact(text)).toBe(shown);
  });
});

test.each([
  'claude-sonnet-4-5-20250929', 'input_tokens: ', '550e8400-e29b-41d4-a716-446655440000', 'rate limit of 30000 tokens per minute',
  'src/app/tokens.py', 'The task is basic.',
])('what is no secret stays: %s', (text) => {
  expect(redact(text)).toBe(text);
});

test('a long text is cut, and nothing of a secret at its end is left', () => {
  const text = `${'a '.repeat(499_990)}${key('sk-', 40)}`;
  expect(redact(text)).not.toContain('aB3aB3');
});

test('hostile texts take no longer than others', () => {
  for (const part of ['-----BEGIN PRIVATE KEY-----', 'token=', 'a://', 'authorization:', '\\"', 'eyJaaaaaaaa.', '@', 'cookie: ']) {
    expect(typeof redact(part.repeat(3_000))).toBe('string');
  }
});

test('a value keeps its form, and says how many of its texts were masked', () => {
  const { value, masked } = redactValue({
    input_tokens: 5, token: 'x', nested: { 'x-api-key': 'y', list: [key('sk-'), 'plain', null, true] }, authorization: ['z'],
  });
  expect(value).toEqual({
    input_tokens: 5, token: MASK, nested: { 'x-api-key': MASK, list: [MASK, 'plain', null, true] }, authorization: [MASK],
  });
  expect(masked).toBe(4);
});

test('any value of JSON can be redacted, and twice is the same as once', () => {
  fc.assert(fc.property(fc.jsonValue(), (json) => {
    const once = redactValue(json).value;
    expect(redactValue(once).value).toEqual(once);
  }));
});

describe('an error is said in words', () => {
  test.each([
    [Object.assign(new Error('EACCES: …'), { code: 'EACCES', errno: -13, path: '/a/b' }), '/a/b: permission denied'],
    [Object.assign(new Error('x'), { code: 'EODD', errno: -1 }), 'EODD'],
    [new Error('first\n    at somewhere (file.js:1:1)'), 'first'],
    ['a text', 'a text'],
    [new Error(''), 'something failed without saying why'],
    [new Error(`refused ${key('sk-')}`), `refused ${MASK}`],
    [new Error('x'.repeat(1000)), `${'x'.repeat(400)}…`],
  ])('%#', (error, words) => {
    expect(wordingOf(error)).toBe(words);
  });
});
